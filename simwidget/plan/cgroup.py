"""Finds how much memory this process may still use under the limits of its Linux control groups (cgroups).

Containers, for example, have such limits. Linux has two versions of control groups, 1 and 2. Both arrange the groups in
hierarchies. A process belongs to one group in each hierarchy, and is subject to the limits of that group and of all
groups above that group.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class _Version(NamedTuple):
    """The folders and file names that one version of control groups uses."""

    mounts: tuple[str, ...]
    limits: tuple[str, ...]
    usage: str
    reclaimable: tuple[str, ...]
    """names of the entries in memory.stat that count as free memory; an entry also covers all groups below the group"""


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
"""A limit of this many bytes or more counts as no limit, because version 1 reports about 2**63 for no limit."""


def bytes_left_in_groups(root: Path = Path("/")) -> int | None:
    """Return how many bytes this process may still use before the first limit of a control group is reached.

    Args:
        root: the folder that contains `proc` and `sys`.

    Returns:
        The number of bytes, or None if no group has a limit or there are no control groups.
    """
    return min((left for version, group in _groups(root) for left in _bytes_left(group, version)), default=None)


def _groups(root: Path) -> Iterator[tuple[_Version, Path]]:
    """Yield (version, folder) for each group that limits this process: its own groups, and all groups above them.

    Some of the folders may not exist. In a container, for example, the system may report the group's path on the host,
    while the group's folder is the root of the mounted hierarchy.
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
    """For each limit of a group, yield how many bytes are left. Memory that the kernel can reclaim counts as free."""
    used = _number(group / version.usage)
    if used is None:
        return
    free = _reclaimable(group, version)
    for name in version.limits:
        limit = _number(group / name)
        if limit is not None and limit < NO_LIMIT:
            yield max(0, limit - max(0, used - free))


def _number(path: Path) -> int | None:
    """Return the integer in a file; None if the file is missing or contains something else, such as "max"."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(group: Path, version: _Version) -> int:
    """Return how many bytes of the group's usage the kernel can reclaim; 0 if this is unknown."""
    try:
        lines = (group / "memory.stat").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    entries = (line.split() for line in lines)
    return sum(
        int(entry[1]) for entry in entries if len(entry) == 2 and entry[0] in version.reclaimable and entry[1].isdigit()
    )
