"""`Readers`: prevents two runs from reading the same iterator of a loader at the same time.

Otherwise each of the two runs would get only a part of the batches, without any error.
"""

import threading
import weakref
from typing import Any


class InUseError(Exception):
    """Raised if another reader is reading the iterator."""


class Readers:
    """Records the latest reader of each iterator, and which readers are reading now.

    All methods may be called from any thread. A reader must hold a reference to its iterator as long as the reader
    lives. This is because iterators are identified by `id`, and Python reuses the id of a deleted object.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[int, weakref.ref[Any]] = {}
        """the id of an iterator -> its latest reader"""
        self._reading: weakref.WeakSet[Any] = weakref.WeakSet()

    def begin(self, reader: Any, iterator: object) -> bool:
        """Record that `reader` is now reading `iterator`, and forget any iterator that `reader` read before.

        Returns:
            True if `reader` was already the latest reader of `iterator`; False if another reader was, or no reader.

        Raises:
            InUseError: another reader is reading `iterator`.
        """
        with self._lock:
            latest = self._latest[id(iterator)]() if id(iterator) in self._latest else None
            if latest is not reader and latest in self._reading:
                raise InUseError
            others = {key: one for key, one in self._latest.items() if one() not in (None, reader)}
            self._latest = {**others, id(iterator): weakref.ref(reader)}
            self._reading.add(reader)
            return latest is reader

    def end(self, reader: Any) -> None:
        """Record that `reader` has stopped reading, so that other readers may read its iterator."""
        with self._lock:
            self._reading.discard(reader)


READERS = Readers()
"""The `Readers` object that all runs of this process share."""
