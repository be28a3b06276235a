"""Holds back interrupts (Ctrl-C) while code runs that must not stop halfway."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class _Guard:
    """The handler of SIGINT inside `interrupts_held`.

    Inside `interrupts_allowed`, each interrupt is passed to `previous`, the earlier handler of SIGINT, until `previous`
    raises an exception. All other interrupts are held back: the attribute `pending` is set to True.
    """

    def __init__(self, previous: Callable[[int, Any], Any]) -> None:
        self.previous = previous
        self.allowed = False
        self.pending = False

    def __call__(self, signum: int, frame: Any) -> None:
        if self.allowed:
            self.allowed = False  # what the first interrupt begins to clean up, the second one must not cut short
            self.previous(signum, frame)
            self.allowed = True  # the previous handler raised nothing
        else:
            self.pending = True

    def deliver(self) -> None:
        """Call the previous handler if an interrupt was held back."""
        if self.pending:
            self.pending = False
            self.previous(signal.SIGINT, None)


_guard: _Guard | None = None
"""the `_Guard` that handles SIGINT inside `interrupts_held`, otherwise None

One variable serves all threads, because Python runs signal handlers only in the main thread.
"""


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Context manager: holds back interrupts.

    An interrupt that was held back is raised when the code enters or returns to `interrupts_allowed`, or at the end of
    the outermost `interrupts_held`. In threads other than the main thread the context does nothing, because interrupts
    are raised only in the main thread. If SIGINT has no Python handler, the context does nothing.
    """
    global _guard
    outer = _guard
    if threading.current_thread() is not threading.main_thread():
        yield
    elif outer is not None:
        allowed, outer.allowed = outer.allowed, False
        yield  # after an exception interrupts are held until they are allowed again: something is cleaned up
        outer.allowed = allowed
        if allowed:
            outer.deliver()
    elif not callable(previous := signal.getsignal(signal.SIGINT)):
        yield
    else:
        guard = _Guard(previous)
        signal.signal(signal.SIGINT, guard)
        _guard = guard
        try:
            yield
        finally:
            _guard = None
            if signal.getsignal(signal.SIGINT) is guard:
                signal.signal(signal.SIGINT, previous)
            guard.deliver()


@contextmanager
def interrupts_allowed() -> Iterator[None]:
    """Context manager for use inside `interrupts_held`: an interrupt is raised at once.

    An interrupt that `interrupts_held` has held back is raised on entry. After an interrupt has raised an exception,
    later interrupts are held back again, so that they do not cut the cleanup short.
    """
    guard = _guard if threading.current_thread() is threading.main_thread() else None
    if guard is None:
        yield
        return
    guard.deliver()
    guard.allowed = True
    try:
        yield
    finally:
        guard.allowed = False
