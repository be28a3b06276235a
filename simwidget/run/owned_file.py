"""`OwnedFile`: the checkpoint file of one run, which no other run writes to and which replaces nobody else's file."""

import os
import secrets

from simwidget.files.atomic import create_file, replace_file
from simwidget.files.lock import locked
from simwidget.run.checkpoint import checkpoint_bytes, owner_of, read_checkpoint, stub_bytes


class TakenError(Exception):
    """The file belongs to another run by now, or is no checkpoint any more."""


class OwnedFile:
    """Claims the path of a checkpoint for a run, by a token in the file's header, and checks it before each write.

    Args:
        path: a symbolic link is followed once, now.
        taken_from: the owner of an existing checkpoint from which the run continues; None for a new file.
    """

    def __init__(self, path: str | os.PathLike[str], taken_from: str | None = None) -> None:
        self.path = os.path.realpath(path)
        self.owner = secrets.token_hex(16)
        self._as_given = os.fspath(path)
        self._taken_from = taken_from
        self._is_stub = False
        self.is_claimed = False

    def claim(self) -> None:
        """Make the file, or take over the one that the run continues from. Does nothing if that was done before.

        Raises:
            FileExistsError: there is a file of somebody else's, which is untouched.
            ValueError: another run has gone on from the same checkpoint.
        """
        if self.is_claimed:
            return
        if self._taken_from is not None and os.path.exists(self.path):
            self._take_over()
        else:
            self._create_stub()
        self.is_claimed = True

    def _create_stub(self) -> None:
        try:
            create_file(self.path, stub_bytes(self.owner))
        except FileExistsError:
            raise FileExistsError(
                f"checkpoint={self._as_given!r} exists by now: another run or program made it after this comparison "
                "was set up. Give another path, or remove the file if nothing uses it"
            ) from None
        self._is_stub = True

    def _take_over(self) -> None:
        with locked(self.path):
            found = read_checkpoint(self.path)
            if found.owner != self._taken_from:
                raise ValueError(
                    f"{self._as_given} was written again after it was read: another run uses it. Wait until that run "
                    "has ended, or stop it; then call resume(...) once more"
                )
            replace_file(self.path, checkpoint_bytes({**found.header, "owner": self.owner}, found.arrays))

    def write(self, content: bytes) -> None:
        """Write the content of a checkpoint whose owner is this run; a file that has vanished is made again.

        Raises:
            TakenError: the file is not this run's any more; it is untouched.
            OSError: it cannot be written; the older one stays.
        """
        try:
            with locked(self.path):
                self._check_owner()
                replace_file(self.path, content)
        except FileNotFoundError:
            create_file(self.path, content)
        self._is_stub = False

    def release(self) -> None:
        """Remove the file if it still is this run's stub, and give up the claim in this case."""
        if self._is_stub and self.is_claimed:
            self.is_claimed = False
            try:
                with locked(self.path):
                    self._check_owner()
                    os.unlink(self.path)
            except (OSError, TakenError):  # it is gone, or somebody else's
                return

    def _check_owner(self) -> None:
        try:
            owner = owner_of(self.path)
        except ValueError as problem:
            raise TakenError("it is no checkpoint any more") from problem
        if owner != self.owner:
            raise TakenError("another run has taken it over")
