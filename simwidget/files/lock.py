"""A lock on a file, for programs that replace the whole file: only one of them at a time may check and replace it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

try:
    import fcntl
except ImportError:  # Windows, where an open file could not be replaced
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Context manager: locks the file at `path`.

    Until the `with` block replaces the file or ends, no other process or thread that uses this lock changes the file.
    Where the operating system or the file system has no locks, this only checks that the file exists.

    Raises:
        FileNotFoundError: there is no file at `path`.
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
