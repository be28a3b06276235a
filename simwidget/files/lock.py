"""A lock on a file that is replaced as a whole, for everyone who takes it before replacing it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

try:
    import fcntl
except ImportError:  # Windows, where an open file could not be replaced
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Context manager: what is read from `path` inside stays true until it is replaced inside.

    Where the system or the file system has no locks, this only checks that the file exists.

    Raises:
        FileNotFoundError: there is no file.
    """
    if fcntl is None:
        os.stat(path)
        yield
        return
    while True:
        with open(path, "rb") as file:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            # while this waited, another file may have come into its place
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                yield
                return
