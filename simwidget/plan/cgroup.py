"""The memory that Linux control groups, by which containers are limited, leave to this process.

A process is in a group of each hierarchy, version 1 or 2, and a limit of any group above it holds for it too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class _Version(NamedTuple):
    """The files of a group in one version of cgroups, and where its hierarchy is mounted."""

    mounts: tuple[str, ...]
    limits: tuple[str, ...]
    usage: str
    reclaimable: tuple[str, ...]
    """the entries of memory.stat, of the group and all below it, that count as free"""


# As in MemAvailable of /proc/meminfo, all page cache and slab that the kernel can reclaim is free: also the cache in
# active use, such as a data set's that is read in every epoch. A group above memory.high is slowed down, not killed.
_V1 = _Version(
    ("memory",), ("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")
)
_V2 = _Version(
    ("", "unified"),
    ("memory.max", "memory.high"),
    "memory.current",
    ("inactive_file", "active_file", "slab_reclaimable"),
)

NO_LIMIT = 2**62
"""Bytes. Version 1 gives a number about twice as large where there is no limit."""


def bytes_left_in_groups(root: Path = Path("/")) -> int | None:
    """The bytes that the limits of this process's control groups leave, at the group where they leave least.

    Args:
        root: the folder that has `proc` and `sys`.

    Returns:
        None where no group has a limit, or where there are no control groups.
    """
    return min((left for version, group in _groups(root) for left in _bytes_left(group, version)), default=None)


def _groups(root: Path) -> Iterator[tuple[_Version, Path]]:
    """The groups that the process is in, with all groups above them.

    A container may see the path of its group on the host and, as the root of the mount, its own group only. The folders
    on that path are missing then, and the root is the group.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "", "")[:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        version = _V1 if controllers else _V2
        for mount in version.mounts:
            top = root / "sys/fs/cgroup" / mount
            parts = [part for part in path.split("/") if part]
            if ".." in parts:  # a group outside of this namespace
                parts = []
            for depth in range(len(parts), -1, -1):
                yield version, top.joinpath(*parts[:depth])


def _bytes_left(group: Path, version: _Version) -> Iterator[int]:
    """What each limit of one group leaves."""
    used = _number(group / version.usage)
    if used is None:
        return
    free = _reclaimable(group, version)
    for name in version.limits:
        limit = _number(group / name)
        if limit is not None and limit < NO_LIMIT:
            yield max(0, limit - max(0, used - free))


def _number(path: Path) -> int | None:
    """The number in a file; None where there is none, as in "max"."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(group: Path, version: _Version) -> int:
    """The bytes of the group's usage that the kernel gives up for those who need them."""
    try:
        lines = (group / "memory.stat").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    entries = (line.split() for line in lines)
    return sum(
        int(entry[1]) for entry in entries if len(entry) == 2 and entry[0] in version.reclaimable and entry[1].isdigit()
    )
