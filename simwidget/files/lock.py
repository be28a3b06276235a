"""`locked`: a file lock, so that only one process or thread at a time checks and then replaces a file."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows, where an open file could not be replaced
    fcntl = None  # type: ignore[assignment]


LOCK_WAITS = 10.0
"""The longest time, in seconds, to wait for a file that another program has locked."""
LOCK_TICK = 0.01


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Context manager: locks the file at `path`.

    Until the `with` block replaces the file or ends, no other process or thread that uses this lock changes the file.
    If the operating system or the file system has no locks, the file is not locked, and `locked` does nothing but check
    that the file exists.

    Raises:
        FileNotFoundError: there is no file at `path`.
    """
    if fcntl is None:
        os.stat(path)
        yield
        return
    while True:
        with open(path, "rb") as file:
            _take_lock(file.fileno(), path)
            # while this waited, another file may have come into its place
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                yield
                return


def _take_lock(handle: int, path: str) -> None:
    """Lock an open file, and wait up to `LOCK_WAITS` seconds if it is locked.

    Raises:
        TimeoutError: the file is still locked then.
    """
    ends = time.monotonic() + LOCK_WAITS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > ends:
                raise TimeoutError(f"{path!r} is locked by another program") from None
            time.sleep(LOCK_TICK)
        except OSError:  # the file system has no locks
            return
