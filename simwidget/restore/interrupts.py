"""Interrupts (Ctrl-C) that are held back while something must not be left half done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class _Guard:
    """The handler of SIGINT while `interrupts_held` is open: it remembers an interrupt, or passes on the first one."""

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
        """Pass on an interrupt that was held back."""
        if self.pending:
            self.pending = False
            self.previous(signal.SIGINT, None)


_guard: _Guard | None = None
"""the guard of the main thread, which alone gets signals"""


@contextmanager
def interrupts_held() -> Iterator[None]:
    """A context in which an interrupt waits; it is raised at the end of the outermost one, or in `interrupts_allowed`.

    Outside of the main thread, which alone is interrupted, and where SIGINT has no Python handler, this does nothing.
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
    """A context within `interrupts_held` in which the first interrupt is raised, one that waited at once."""
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
