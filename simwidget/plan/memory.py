"""Estimates of the memory of a run, without its models and their activations, and advice when it does not fit."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from simwidget.estimate.accumulators import N_GROUPS
from simwidget.estimate.history import MAX_POINTS, MAX_POINTS_BYTES, MIN_POINTS

SAFE_SHARE = 0.8
"""A run that needs more than this share of the free memory gets a warning."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a run needs at its peak, by purpose."""

    sums: int
    """the sums of products, a copy of them for displays, and their history"""
    grams: int
    """the Gram matrices of one block, their centred copy and rows, and the latest ones, which displays read"""
    joined: int
    """representations of batches that wait to be joined into a Gram matrix"""

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
    """The memory of a run whose Gram matrices are (n, n).

    Args:
        n_rows: layers and confounders.
        n: samples of a Gram matrix.
        n_row_maps: row maps (of Gram matrices to rows) that the measures use; each has its own sums.
        pending_bytes: bytes of all representations of the n samples.
        joins_batches: whether several batches are joined into a Gram matrix, so that these representations wait.
        itemsize: bytes of a number in a Gram matrix.

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
    """Free memory of a device in bytes; None if it is unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    found = _cpu_bytes_free()
    return min(found) if found else None


def _cpu_bytes_free() -> list[int]:
    """Upper bounds of the free memory: that of the system, and what is left of the container's limit."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        names = getattr(os, "sysconf_names", {})
        if "SC_AVPHYS_PAGES" in names:
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        if limit != "max":
            found.append(max(0, int(limit) - int(used)))
    except (OSError, ValueError):
        pass
    return found


def memory_warning(estimate: MemoryEstimate, free: int | None, n_rows: int, n: int) -> str | None:
    """The warning, with the most effective remedy, for a run that needs too much of the `free` bytes, else None."""
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


def out_of_memory_advice(n: int, options: Mapping[str, Any]) -> str:
    """What to do when a forward pass of n samples ran out of memory, given the options of `compare`."""
    unbiased = options.get("unbiased") and options.get("average") == "hsic"
    halves = f"batches of {n // 2} samples" if n > 1 else "a smaller input"
    joined = " (gram_batch= joins them again)" if n > 1 else ""
    automatic = ", auto_batch=True, which halves batches until they fit" if unbiased and n > 1 else ""
    return (
        f"{n} samples at once did not fit into memory: give {halves}{joined}{automatic}, or fewer layers with layers="
    )


def format_bytes(n_bytes: int) -> str:
    """A number of bytes as text, in decimal units.

    >>> format_bytes(3_200_000_000), format_bytes(45_000)
    ('3.2 GB', '45 kB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} B"
