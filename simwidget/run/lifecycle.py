"""The states of a run: which state may follow which, what was asked for in the meantime, and who hears of a change."""

import threading
import warnings
from collections.abc import Callable, Mapping

from simwidget.run.progress import ENDED, RunState

FOLLOWS: Mapping[RunState, frozenset[RunState]] = {
    "ready": frozenset({"running", "stopped"}),
    "running": frozenset({"paused", "stopped", "finished", "failed"}),
    "paused": frozenset({"running", "stopped", "failed"}),
    "failed": frozenset({"running"}),
    "stopped": frozenset(),
    "finished": frozenset(),
}
"""For each state the states that may come next."""


class Lifecycle:
    """The state of one run, and the requests to pause and to stop it. All of it is guarded by one lock.

    The thread of the run calls `begin`, `enter` and `hold_while_paused`; any thread may ask for a pause or a stop, wait
    for a condition, or watch. A request counts for the run that is under way: `begin` forgets those of an earlier one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._state: RunState = "ready"
        self._error: BaseException | None = None
        self._pause_asked = False
        self._stop_asked = False
        self._watchers: list[Callable[[], None]] = []

    @property
    def state(self) -> RunState:
        return self._state

    @property
    def error(self) -> BaseException | None:
        """The exception that ended a failed run; None in every other state."""
        return self._error

    @property
    def stop_asked(self) -> bool:
        return self._stop_asked

    @property
    def has_ended(self) -> bool:
        return self._state in ENDED

    def begin(self) -> None:
        """Enter "running" from "ready" or "failed". Raises RuntimeError in any other state."""
        with self._changed:
            if self._state not in ("ready", "failed"):
                raise RuntimeError(f"this comparison is {self._state}: a comparison runs once; make a new one")
            self._pause_asked = self._stop_asked = False
            self._enter("running")
        self.notify()

    def enter(self, state: RunState, error: BaseException | None = None) -> None:
        """Enter another state and notify. Raises RuntimeError where `FOLLOWS` does not allow it."""
        with self._changed:
            self._enter(state, error)
        self.notify()

    def _enter(self, state: RunState, error: BaseException | None = None) -> None:
        if state not in FOLLOWS[self._state]:
            raise RuntimeError(f"a run that is {self._state} cannot become {state}")
        self._state, self._error = state, error

    # --- requests, from any thread -----------------------------------------------------------------------------------

    def pause(self, asked: bool) -> None:
        """Ask for a pause, or for its end; the run looks at this before its next batch."""
        with self._changed:
            self._pause_asked = asked
            self._changed.notify_all()

    def stop(self) -> bool:
        """Stop a run that has not begun, and return True; ask any other to stop before its next batch."""
        with self._changed:
            at_once = self._state == "ready"
            self._stop_asked = True
            if at_once:
                self._enter("stopped")
            self._changed.notify_all()
        if at_once:
            self.notify()
        return at_once

    @property
    def pause_asked(self) -> bool:
        """Whether the run shall hold now; a stop that was asked for comes first."""
        return self._pause_asked and not self._stop_asked

    def hold_while_paused(self) -> None:
        """Be "paused", on the run's thread, until the end of the pause or a stop is asked for."""
        self.enter("paused")
        with self._changed:
            self._changed.wait_for(lambda: not self.pause_asked)
        self.enter("running")

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until a condition holds that depends on the state or on the batches; whether it came in time."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    # --- who hears of changes ----------------------------------------------------------------------------------------

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back at every `notify`; returns the function that ends this."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def notify(self) -> None:
        """Wake whoever waits, and call the watchers on this thread; what they raise becomes a warning."""
        with self._changed:
            self._changed.notify_all()
        for callback in tuple(self._watchers):
            try:
                callback()
            except Exception as problem:  # a display's trouble is not the run's
                warnings.warn(f"a display of this run failed: {type(problem).__name__}: {problem}", stacklevel=2)
