"""Which run reads which iterator: two runs that shared one would each get a part of its batches, without any error."""

import threading
import weakref
from typing import Any


class InUseError(Exception):
    """An iterator is being read by another."""


class Readers:
    """The latest reader of each iterator, and who is reading now. All methods may be called from any thread.

    A reader must hold its iterator as long as it lives, since iterators are told apart by identity.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[int, weakref.ref[Any]] = {}
        """the id of an iterator -> its latest reader"""
        self._reading: weakref.WeakSet[Any] = weakref.WeakSet()

    def begin(self, reader: Any, iterator: object) -> bool:
        """Make `reader` the reader of this iterator, and of no other.

        Returns:
            Whether it was the latest one before, so that nobody else has read the iterator since it ended.

        Raises:
            InUseError: another is reading it.
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
        """The reader does not read for now; others may read its iterator."""
        with self._lock:
            self._reading.discard(reader)


READERS = Readers()
"""Those of this process: runs that know nothing of each other meet here."""
