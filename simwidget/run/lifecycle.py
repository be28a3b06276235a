"""`Lifecycle`: holds the state of a run, and the requests to pause or stop the run.

A `Lifecycle` also wakes waiting threads and calls callbacks after each batch and each change of the state.
"""

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
"""State of a run -> the states that may follow this state."""


class Lifecycle:
    """The state of one run, and the requests to pause and to stop the run.

    One lock guards all changes of the state and of the requests. While batches are processed, only the thread that
    processes them may call `enter` and `hold_while_paused`. Any thread may call the other methods. `begin` clears all
    earlier requests.
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
        """Change the state from "ready" or "failed" to "running". Raises RuntimeError in any other state."""
        with self._changed:
            if self._state not in ("ready", "failed"):
                raise RuntimeError(f"this comparison is {self._state}: a comparison runs once; make a new one")
            self._pause_asked = self._stop_asked = False
            self._enter("running")
        self.notify()

    def enter(self, state: RunState, error: BaseException | None = None) -> None:
        """Change the state to `state`, store the exception `error` of a failed run, and call `notify`.

        Raises:
            RuntimeError: `FOLLOWS` does not allow `state` after the present state.
        """
        with self._changed:
            self._enter(state, error)
        self.notify()

    def _enter(self, state: RunState, error: BaseException | None = None) -> None:
        if state not in FOLLOWS[self._state]:
            raise RuntimeError(f"a run that is {self._state} cannot become {state}")
        self._state, self._error = state, error

    # --- requests, from any thread -----------------------------------------------------------------------------------

    def pause(self, asked: bool) -> None:
        """Request a pause before the next batch; with `asked=False`, withdraw the request or end the pause."""
        with self._changed:
            self._pause_asked = asked
            self._changed.notify_all()

    def stop(self) -> bool:
        """Stop the run at once if it has not begun; otherwise request that it stops before its next batch.

        Returns:
            Whether the run was stopped at once.
        """
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
        """Whether the run should pause now: a pause is requested, and a stop is not."""
        return self._pause_asked and not self._stop_asked

    def hold_while_paused(self) -> None:
        """Enter the state "paused", wait until the pause ends or a stop is requested, and enter the state "running"."""
        self.enter("paused")
        with self._changed:
            self._changed.wait_for(lambda: not self.pause_asked)
        self.enter("running")

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `condition()` is true, at most `timeout` seconds.

        The condition is evaluated at once, and again after each `notify` and each request to pause or stop.

        Returns:
            Whether the condition became true within `timeout` seconds.
        """
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    # --- watchers ----------------------------------------------------------------------------------------------------

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` at every `notify`, until the returned function is called."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def notify(self) -> None:
        """Wake the threads that wait in `wait_for`, and call the callbacks that were passed to `watch`.

        The callbacks run on the calling thread. An exception in a callback becomes a warning.
        """
        with self._changed:
            self._changed.notify_all()
        for callback in tuple(self._watchers):
            try:
                callback()
            except Exception as problem:  # an error in a display must not end the run
                warnings.warn(f"a display of this run failed: {type(problem).__name__}: {problem}", stacklevel=2)
