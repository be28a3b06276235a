"""The state of a run: the transitions between its states, requests to pause and stop it, and its watchers."""

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
"""The transitions: for each state the states that may follow it."""


class Lifecycle:
    """The state of one run, and the requests to pause and to stop it. All of it is guarded by one lock.

    The thread of the run calls `begin`, `enter` and `hold_while_paused`. Any thread may call the other methods.
    Requests to pause or stop count until the run ends: `begin` clears them.
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
        """Ask for a pause, or with False for its end; this takes effect before the next batch."""
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
        """Whether the run should pause now. A request to stop takes precedence."""
        return self._pause_asked and not self._stop_asked

    def hold_while_paused(self) -> None:
        """Block the run's thread, in the state "paused", until the pause is over or a stop is asked for."""
        self.enter("paused")
        with self._changed:
            self._changed.wait_for(lambda: not self.pause_asked)
        self.enter("running")

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until a condition on the state or on the batches holds. False if it did not within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    # --- watchers ----------------------------------------------------------------------------------------------------

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function at every `notify`; returns the function that ends this."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def notify(self) -> None:
        """Wake the threads in `wait_for` and call the watchers here. A watcher's exception becomes a warning."""
        with self._changed:
            self._changed.notify_all()
        for callback in tuple(self._watchers):
            try:
                callback()
            except Exception as problem:  # an error in a display must not end the run
                warnings.warn(f"a display of this run failed: {type(problem).__name__}: {problem}", stacklevel=2)
