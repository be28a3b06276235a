"""`Checkpointer`: when a run writes its checkpoint, and what becomes of a run that cannot."""

import time
from collections.abc import Callable, Mapping
from os import PathLike, fspath
from typing import Any

from torch import Tensor

from simwidget.run.checkpoint import checkpoint_bytes
from simwidget.run.owned_file import OwnedFile, TakenError

COST = 0.05
"""The share of a run's time that writing may take."""


class Checkpointer:
    """Writes checkpoints of a run: at most one every `seconds`, and in at most the share `COST` of the run's time.

    With `seconds=0` neither limit applies.

    Args:
        path: the file.
        seconds: least time between two checkpoints.
        taken_from: the owner of an existing checkpoint from which the run continues; None for a new file.
    """

    def __init__(self, path: str | PathLike[str], seconds: float, taken_from: str | None = None) -> None:
        self._path = fspath(path)
        self._file = OwnedFile(path, taken_from)
        self._seconds = seconds
        self._next = time.monotonic() + seconds
        self._is_lost = False
        self.note: str | None = None
        """why the latest state could not be written"""

    def claim(self) -> None:
        """Make the file this run's, before anything runs; see `OwnedFile.claim`."""
        self._file.claim()

    def release(self) -> None:
        """At the end of the run: remove a file in which nothing was saved."""
        self._file.release()

    def is_time(self) -> bool:
        """Whether the next checkpoint should be written now."""
        return time.monotonic() >= self._next

    def write(self, state: Callable[[], tuple[Mapping[str, Any], Mapping[str, Tensor]]]) -> None:
        """Write the header and arrays that `state` returns, unless the file was not claimed or is another run's.

        If the file cannot be written, the older one stays and `note` says why; nothing is raised.
        """
        if self._is_lost or not self._file.is_claimed:
            return
        begun = time.monotonic()
        try:
            header, arrays = state()
            self._file.write(checkpoint_bytes({**header, "owner": self._file.owner}, arrays))
            self.note = None
        except TakenError as problem:
            self._is_lost = True
            self.note = (
                f"the checkpoint {self._path} is not this run's any more ({problem}): it is left alone, and the run "
                "goes on without. Save the result when it is done, or stop one of the two runs"
            )
        except OSError as problem:
            self.note = f"the checkpoint {self._path} could not be written ({problem}): the run goes on without it"
        ended = time.monotonic()
        if self._seconds:
            self._next = ended + max(self._seconds, (ended - begun) / COST)
