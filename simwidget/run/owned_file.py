"""`OwnedFile`: writes the checkpoint file of one run, and never overwrites a file of another run or program."""

import os
import secrets

from simwidget.files.atomic import create_file, replace_file
from simwidget.files.lock import locked
from simwidget.run.checkpoint import checkpoint_bytes, owner_of, read_checkpoint, stub_bytes


class TakenError(Exception):
    """Raised if a run's checkpoint file now belongs to another run or is no longer a checkpoint."""


class OwnedFile:
    """Claims a checkpoint path for a run by writing a token into the file's header.

    Before each write, checks that the token is still there. Until the first call of `write`, a new file is a stub,
    which contains only the token.

    Args:
        path: the path of the file; a symbolic link is resolved once, when the object is created.
        taken_from: the token in an existing checkpoint from which the run continues; None for a new file.
    """

    def __init__(self, path: str | os.PathLike[str], taken_from: str | None = None) -> None:
        self.path = os.path.realpath(path)
        self.owner = secrets.token_hex(16)
        self._as_given = os.fspath(path)
        self._taken_from = taken_from
        self._is_stub = False
        self.is_claimed = False

    def claim(self) -> None:
        """Create the file, or take over the checkpoint from which the run continues.

        Does nothing if the file is already claimed.

        Raises:
            FileExistsError: the run needs a new file, but there is already a file at the path. That file is unchanged.
            ValueError: another run has written to the checkpoint since this run read it; or the file is not a valid
                checkpoint.
        """
        if self.is_claimed:
            return
        if self._taken_from is not None and os.path.exists(self.path):
            self._take_over()
        else:
            self._create_stub()
        self.is_claimed = True

    def check(self) -> None:
        """Raise ValueError if another run has written to the checkpoint from which this run continues."""
        if self._taken_from is not None and os.path.exists(self.path) and owner_of(self.path) != self._taken_from:
            raise ValueError(self._written_again)

    @property
    def _written_again(self) -> str:
        return (
            f"{self._as_given} was written again after it was read: another run uses it. Wait until that run has "
            "ended, or stop it; then call resume(...) once more"
        )

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
                raise ValueError(self._written_again)
            replace_file(self.path, checkpoint_bytes({**found.header, "owner": self.owner}, found.arrays))

    def write(self, content: bytes) -> None:
        """Replace the file by a checkpoint of this run, or create the file again if it was deleted.

        Args:
            content: the bytes of the checkpoint; its header contains this run's token.

        Raises:
            TakenError: the file no longer belongs to this run. The file is unchanged.
            OSError: the checkpoint cannot be written. The older checkpoint stays.
        """
        try:
            with locked(self.path):
                self._check_owner()
                replace_file(self.path, content)
        except FileNotFoundError:
            create_file(self.path, content)
        self._is_stub = False

    def release(self) -> None:
        """If this run has created a stub and not yet written a checkpoint, give up the claim and remove the stub.

        A file that no longer belongs to this run is not removed.
        """
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
