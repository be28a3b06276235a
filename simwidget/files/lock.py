"""`locked`: a file lock. With this lock, only one process or thread at a time can check a file and replace it."""

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
    """Context manager: locks the file at `path`, and waits first if another process or thread holds the lock.

    The lock ends with the `with` block. If the block replaces the file, the new file is not locked. If the operating
    system or the file system does not support locks, `locked` only checks that the file exists.

    Raises:
        FileNotFoundError: there is no file at `path`.
        TimeoutError: the file is still locked after `LOCK_WAITS` seconds.
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
    """Lock an open file. If the file is already locked, wait up to `LOCK_WAITS` seconds for the lock.

    If the file system has no locks, do nothing.

    Raises:
        TimeoutError: the file is still locked after this time.
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
