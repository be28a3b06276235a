"""Checkpoint files: written whole or not at all, and checked when they are read.

A file holds tensors (safetensors) and one JSON header, nothing that could be executed.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simwidget.text.untrusted import check_strings, errors_name_file, expect, get_field, get_int, read_file, short_repr

FORMAT = 1
COST = 0.05
"""The share of a run's time that writing may take."""


@dataclass(frozen=True)
class Checkpoint:
    header: Mapping[str, Any]
    arrays: Mapping[str, Tensor]


def write_checkpoint(path: Path, header: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> None:
    """Write a checkpoint to a temporary file, flush it to the disk, and rename it to `path`.

    At every moment `path` is either the old checkpoint or the new one, complete.
    """
    from safetensors.torch import save

    content = save(
        {name: one.detach().cpu().contiguous() for name, one in arrays.items()},
        {"simwidget": json.dumps({"format": FORMAT, **header})},
    )
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, where the system supports it."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint. Raises ValueError for a file that is not a valid one."""
    header, arrays = read_file(path, "checkpoint")
    with errors_name_file(path, "checkpoint"):
        version = get_int(header, "format")
        expect(version == FORMAT, f"it has format {version}; this version reads format {FORMAT}")
        for part in ("about", "given", "pass", "run"):
            get_field(header, part, dict)
        for part in ("layers", "options", "limits"):
            get_field(header["given"], part, dict, "given")
        check_strings(get_field(header["given"], "functions", list, "given"), "functions")
    return Checkpoint(header, {name: torch.from_numpy(np.require(one, None, "W")) for name, one in arrays.items()})


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences between the identity in a checkpoint (`then`) and that of this run (`now`), as short phrases."""
    found = []
    for topic in dict.fromkeys([*then, *now]):
        a, b = then.get(topic), now.get(topic)
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += [f"{_short(topic)}, {difference}" for difference in differences(a, b)]
        elif isinstance(a, list) and isinstance(b, list):
            gone = [_short(one) for one in a if one not in b][:3]
            new = [_short(one) for one in b if one not in a][:3]
            lists = [f"{', '.join(some)} {where}" for some, where in ((gone, "only there"), (new, "only here")) if some]
            found.append(f"{_short(topic)}: {'; '.join(lists) or 'another order'}")
        elif topic == "weights":
            found.append("other weights")
        else:
            found.append(f"{_short(topic)}: {short_repr(a)} there, {short_repr(b)} here")
    return found


def _short(name: Any) -> str:
    return short_repr(name).strip("'")


class Checkpointer:
    """Writes checkpoints of a run: at most one every `seconds`, and in at most the share `COST` of the run's time.

    With `seconds=0` neither limit applies.
    """

    def __init__(self, path: str | os.PathLike[str], seconds: float) -> None:
        self.path = Path(path)
        self._seconds = seconds
        self._next = time.monotonic() + seconds
        self.note: str | None = None
        """why the latest state could not be written"""

    def is_time(self) -> bool:
        """Whether the next checkpoint should be written now."""
        return time.monotonic() >= self._next

    def write(self, state: Callable[[], tuple[Mapping[str, Any], Mapping[str, Tensor]]]) -> None:
        """Write the header and arrays that `state` returns.

        If the file cannot be written, the older one stays and `note` says why; nothing is raised.
        """
        begun = time.monotonic()
        try:
            write_checkpoint(self.path, *state())
            self.note = None
        except OSError as problem:
            self.note = f"the checkpoint {self.path} could not be written ({problem}): the run goes on without"
        ended = time.monotonic()
        if self._seconds:
            self._next = ended + max(self._seconds, (ended - begun) / COST)
