"""`SharedSetting`: a setting of the whole process that several runs change at the same time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class SharedSetting:
    """Changes a setting of the process while at least one thread is in the context `changed`.

    The first thread that enters the context changes the setting; the last thread that leaves it restores the earlier
    value. A thread that saved and restored the setting by itself might restore the value that another run has set.

    Args:
        change: changes the setting and returns its earlier value.
        restore: sets the setting to an earlier value.
    """

    def __init__(self, change: Callable[[], Any], restore: Callable[[Any], None]) -> None:
        self._change = change
        self._restore = restore
        self._lock = threading.Lock()
        self._n_users = 0
        self._before: Any = None

    @contextmanager
    def changed(self) -> Iterator[None]:
        """Context manager in which the setting is changed."""
        entered = False
        try:
            with self._lock:
                entered = True
                self._n_users += 1
                if self._n_users == 1:
                    self._before = self._change()
            yield
        finally:
            if entered:
                with self._lock:
                    self._n_users -= 1
                    if self._n_users == 0:
                        self._restore(self._before)
