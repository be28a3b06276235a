"""`Checkpointer`: tells when a run's next checkpoint is due, and writes the checkpoint.

If a checkpoint cannot be written, the run continues.
"""

import time
from collections.abc import Callable, Mapping
from os import PathLike, fspath
from typing import Any

from torch import Tensor

from simwidget.run.checkpoint import checkpoint_bytes
from simwidget.run.owned_file import OwnedFile, TakenError

COST = 0.05
"""The largest share of a run's time that writing checkpoints may take."""


class Checkpointer:
    """Writes the checkpoints of a run, and tells when the next one is due (`is_time`).

    The next checkpoint is due `seconds` after the latest one, or later if writing would otherwise take more than the
    share `COST` of the run's time. With `seconds=0` a checkpoint is always due.

    Args:
        path: the path of the checkpoint file.
        seconds: the least time in seconds from one checkpoint until the next one is due.
        taken_from: the token of the checkpoint from which the run continues, that is, the header's value "owner"; None
            if the run starts a new file.
    """

    def __init__(self, path: str | PathLike[str], seconds: float, taken_from: str | None = None) -> None:
        self._path = fspath(path)
        self._file = OwnedFile(path, taken_from)
        self._seconds = seconds
        self._next = time.monotonic() + seconds
        self._is_lost = False
        self.note: str | None = None
        """why the latest checkpoint could not be written; None if there was no problem"""

    def check(self) -> None:
        """Raise ValueError if another run has written to the checkpoint since this run read it.

        After `claim`, do nothing. See `OwnedFile.check`.
        """
        if not self._file.is_claimed:
            self._file.check()

    def claim(self) -> None:
        """Create the file, or take over the checkpoint from which the run continues; see `OwnedFile.claim`.

        Call this before the run processes a batch.
        """
        self._file.claim()

    def release(self) -> None:
        """Remove the file if this run created it and has saved no checkpoint in it.

        Call this when the run has ended or failed.
        """
        self._file.release()

    def is_time(self) -> bool:
        """Whether the next checkpoint should be written now."""
        return time.monotonic() >= self._next

    def write(self, state: Callable[[], tuple[Mapping[str, Any], Mapping[str, Tensor]]]) -> None:
        """Write a checkpoint with the header and the arrays that `state` returns; do nothing if no file is claimed.

        If the file cannot be written or no longer belongs to this run, no exception is raised. The file then keeps its
        content, and `note` says why there is no new checkpoint. Once a call has found that the file no longer belongs
        to this run, all later calls do nothing.
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
