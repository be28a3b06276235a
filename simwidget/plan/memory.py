"""Estimates the memory that a run needs in addition to its models and activations, and warns if too little is free."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from simwidget.estimate.accumulators import N_GROUPS
from simwidget.estimate.history import MAX_POINTS, MAX_POINTS_BYTES, MIN_POINTS
from simwidget.plan.cgroup import bytes_left_in_groups

ROOT = Path("/")
"""The folder that contains `proc` and `sys`."""

SAFE_SHARE = 0.8
"""A run that needs more than this share of the free memory gets a warning."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Peak memory of a run, in addition to its models and their activations: the bytes needed for each purpose."""

    sums: int
    """bytes for the sums from which results are computed. This includes a copy of the sums for displays, and earlier
    values of the sums for convergence curves."""
    grams: int
    """bytes for the Gram matrices of all layers. This includes centred copies, vectors made from the Gram matrices, and
    the previous Gram matrices, which displays read."""
    joined: int
    """bytes for the representations of small batches, which are stored until a Gram matrix can be computed from them"""

    @property
    def total(self) -> int:
        return self.sums + self.grams + self.joined

    def __str__(self) -> str:
        return (
            f"{format_bytes(self.total)}: {format_bytes(self.sums)} for the sums, "
            f"{format_bytes(self.grams)} for the Gram matrices, "
            f"{format_bytes(self.joined)} for representations that wait to be joined"
        )


def estimate_memory(
    n_rows: int, n: int, *, n_row_maps: int = 1, pending_bytes: int = 0, joins_batches: bool = False, itemsize: int = 4
) -> MemoryEstimate:
    """Estimate the memory of a run whose Gram matrices are (n, n).

    Args:
        n_rows: number of layers and confounders together.
        n: number of samples of a Gram matrix.
        n_row_maps: number of different `RowMap`s, the functions that centre and flatten Gram matrices. Each `RowMap`
            needs sums of its own.
        pending_bytes: bytes of the representations that are stored until a Gram matrix can be computed from them.
        joins_batches: whether a Gram matrix is computed from several batches; if not, `pending_bytes` is ignored.
        itemsize: bytes of one element of a Gram matrix.

    >>> estimate_memory(n_rows=50, n=64).total < 2**24 < estimate_memory(n_rows=1000, n=64).total
    True
    """
    products = n_rows * n_rows * 8
    points = min(MAX_POINTS, max(MIN_POINTS, MAX_POINTS_BYTES // max(1, 2 * n_rows * (n_rows + 1))))
    sums = n_row_maps * (2 * N_GROUPS * products + points * products // 4)
    stack = n_rows * n * n * itemsize
    # the stack, the centred copy and the rows of each map, and the latest batch's stack
    return MemoryEstimate(sums, 3 * stack + n_row_maps * stack // 2, pending_bytes if joins_batches else 0)


def bytes_free(device: torch.device) -> int | None:
    """Return the free memory of a device in bytes; None if it is unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    found = _cpu_bytes_free()
    return min(found) if found else None


def _cpu_bytes_free() -> list[int]:
    """Return upper bounds on the free main memory in bytes; the list is empty if no bound is known.

    The bounds are what the system reports as available, and what the limits of control groups still allow.
    """
    found = []
    try:
        lines = (ROOT / "proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        names = getattr(os, "sysconf_names", {})
        if "SC_AVPHYS_PAGES" in names:
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    left = bytes_left_in_groups(ROOT)
    if left is not None:
        found.append(left)
    return found


def memory_warning(estimate: MemoryEstimate, free: int | None, n_rows: int, n: int) -> str | None:
    """Return a warning if a run needs more than `SAFE_SHARE` of the free memory, else None.

    The warning names the most effective remedy.

    Args:
        estimate: the memory that the run needs.
        free: the free memory in bytes; None if it is unknown. In this case there is no warning.
        n_rows: number of layers and confounders together.
        n: number of samples of a Gram matrix.
    """
    if free is None or estimate.total <= SAFE_SHARE * free:
        return None
    parts = {
        "choose fewer layers (layers=)": estimate.sums,
        "use a smaller batch or gram_batch": estimate.grams,
        'use representation="mean", or batches as large as gram_batch, which are not joined': estimate.joined,
    }
    return (
        f"this run of {n_rows} layers and {n} samples a Gram matrix needs about {estimate}; "
        f"{format_bytes(free)} are free: "
        f"{max(parts, key=lambda part: parts[part])}"
    )


def format_bytes(n_bytes: int) -> str:
    """Return a number of bytes as text with at most three significant digits and a decimal unit (1 kB = 1000 B).

    >>> format_bytes(3_200_000_000), format_bytes(45_000)
    ('3.2 GB', '45 kB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} B"
