"""The run: one pass of the loader through the models, on this thread or behind the notebook, watched from outside."""

import atexit
import contextvars
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simwidget.data.loader import check_loader, describe_loader
from simwidget.estimate.convergence import Curve
from simwidget.estimate.pass_state import PassState
from simwidget.inspection.pair import Inspection
from simwidget.plan.model import SimilarityModel
from simwidget.plan.options import Options
from simwidget.restore.randomness import random_state_kept
from simwidget.restore.threads import autocast_here, release_workers, use_one_core
from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View
from simwidget.run.checkpoint import Checkpoint
from simwidget.run.progress import ENDED, Progress, RunState
from simwidget.run.queries import Queries
from simwidget.run.runner import Runner
from simwidget.run.single_pass import SinglePass
from simwidget.run.summary import RunSummary
from simwidget.text.errors import describe_error

LEAVES_WITHIN = 30.0
"""Seconds that the end of Python waits for a background run's batch."""


class Comparison:
    """A run that compares the layers of some models. Made by `compare`.

    `run()` blocks, with a progress bar; `start()` works on a background thread, so that a notebook stays free. Between
    two batches the run can be paused, resumed and stopped; `result` is the result of this moment at any time, from any
    thread. When the run ends, fails or is stopped, the hooks are gone and the models are as they were; what was
    computed stays. A failed run can go on once its cause is mended: `resume()`, or `run()` again. Until then, or until
    `close()`, it holds the models and the loader; one that has ended otherwise has let them go.
    """

    def __init__(self, models: Sequence[SimilarityModel], loader: Iterable, options: Options) -> None:
        plan = options.plan(models)
        loader = check_loader(loader)
        self._queries = Queries(
            tuple(model.model_name for model in models), plan.measures, tuple(one.name for one in plan.confounders)
        )
        self._devices = tuple(dict.fromkeys(network.device for network in plan.networks))
        self._n_expected = _length(loader, options.max_batches)
        self._options = plan.as_given
        self._order = describe_loader(loader)
        self._runner: Runner | None = Runner(models, plan, options, loader, self._queries)
        self._pass_state = self._runner.single_pass.freeze()
        self._last = RunSummary.of(self._runner)
        self._state: RunState = "ready"
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._pausing = False
        self._stopping = False
        self._changed = threading.Condition()
        self._watchers: list[Callable[[], None]] = []
        self._warned: tuple[str, ...] = ()

    @property
    def _single_pass(self) -> SinglePass | None:
        runner = self._runner
        return None if runner is None else runner.single_pass

    # --- what it says of itself --------------------------------------------------------------------------------------

    @property
    def state(self) -> RunState:
        """ "ready", "running", "paused", "stopped", "finished" or "failed"."""
        return self._state

    @property
    def error(self) -> BaseException | None:
        """The exception that ended a failed run."""
        return self._error

    @property
    def n_batches(self) -> int:
        """Batches of the loader that have gone through the models."""
        single_pass = self._single_pass
        return self._pass_state.n_batches if single_pass is None else single_pass.n_batches

    @property
    def n_batches_expected(self) -> int | None:
        """How many batches the run will take, where the loader has a length."""
        return self._n_expected

    @property
    def models(self) -> tuple[str, ...]:
        """The models' names."""
        return self._queries.names

    @property
    def progress(self) -> Progress:
        """How far the run is; cheap, and from any thread."""
        runner, summary = self._runner, self._summary()
        return Progress(
            self._state,
            self.n_batches,
            self._n_expected,
            self._pass_state.n_samples if runner is None else runner.single_pass.n_samples,
            summary.seconds,
            None if self._error is None else describe_error(self._error),
            summary.n_batches_needed,
        )

    @property
    def result(self) -> SimilarityResult:
        """The result of this moment; partial while the run goes on, and still there after a failure."""
        return self.snapshot()

    def snapshot(
        self, measures: Sequence[str] | None = None, pairs: Iterable[tuple[int, int]] | None = None
    ) -> SimilarityResult:
        """The result of this moment, with only the measures and the pairs of models that are asked for.

        A difference, "cka-dcka", brings its two measures along.
        """
        pass_state = self._freeze()
        return self._queries.result(
            pass_state,
            measures,
            pairs,
            complete=self._state == "finished",
            notes=self._notes(),
            provenance=self._provenance(pass_state),
        )

    def convergence(self, layer_x: str, layer_y: str, view: View = "xy") -> dict[str, Curve]:
        """How the numbers of one pair of layers came about: measure -> values and errors over the batches.

        At most 200 moments are kept of a run, evenly spaced; the last point is the present estimate. The differences
        of measures are among the keys.
        """
        return self._queries.convergence(self._freeze(), layer_x, layer_y, view)

    def gram(self, layer: str, model: str | None = None) -> NDArray[np.float32] | None:
        """The Gram matrix (m, m) of one layer in the latest batch, features centred; None before there is one.

        Of a batch whose Gram matrices take more than 64 MB together, the first m samples.
        """
        self._queries.check_model(model)
        return self._queries.gram(self._freeze(sums=False), layer, model)

    def inspect(self, layer_x: str, layer_y: str, view: View = "xy") -> Inspection | None:
        """What two layers make of the samples: their Gram matrices and spectra, and on which samples they agree.

        All of it comes from the latest batch, which the run holds anyway, but for the samples on which the layers
        agree least and most: those are looked for in the latest batch when the pair is first asked for, and in all
        batches since. At most four pairs are followed so; the one that was not asked for longest is forgotten.

        Args:
            layer_x, layer_y: a layer of the view's first model and one of its second.
            view: the two models, as in `SimilarityResult.matrix`.

        Returns:
            The present moment, from any thread and after the run as well; None before there is a Gram matrix, and for
            a layer that has none.

        Raises:
            ValueError: an unknown model or layer, with near names.

        >>> import simwidget as sw
        >>> models, loader, _ = sw.demo.load()
        >>> comparison = sw.compare(models, loader, layers=["stage?"], device="cpu")
        >>> comparison.inspect("stage1", "stage2")  # no Gram matrix yet, but the pair is followed from now on
        >>> _ = comparison.run(progress=False)
        >>> comparison.inspect("stage1", "stage2")
        <Inspection stage1 of seed 0 × stage2 of seed 1: 40 samples, 1000 compared>
        """
        pass_state, single_pass = self._freeze(sums=False), self._single_pass
        rows = self._queries.pair(pass_state, layer_x, layer_y, view)
        if single_pass is not None:
            single_pass.watch(*(pass_state.rows[row].key for row in rows))
            pass_state = self._freeze(sums=False)
        return self._queries.inspect(pass_state, layer_x, layer_y, view)

    def _freeze(self, sums: bool = True) -> PassState:
        single_pass = self._single_pass
        return self._pass_state if single_pass is None else single_pass.freeze(sums)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every batch and every change of state, on the thread of the change; returns the way out.

        The callback must return at once: the run waits for it.
        """
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def _on_display_thread(self) -> None:
        """Called once on a display's own thread: what that asks for then takes one core, and does not slow the run."""
        use_one_core()

    def _say_changed(self) -> None:
        with self._changed:
            self._changed.notify_all()
        for callback in tuple(self._watchers):
            try:
                callback()
            except Exception as problem:  # a display's trouble is not the run's
                warnings.warn(f"a display of this run failed: {type(problem).__name__}: {problem}", stacklevel=2)

    # --- what it can be told -----------------------------------------------------------------------------------------

    def run(self, progress: bool = True) -> SimilarityResult:
        """Run to the end on this thread, with a tqdm bar, and return the result.

        An exception in the loader, a model or a hook ends the run as "failed" and is raised; an interrupt ends it as
        "stopped". In both cases `result` keeps the numbers so far; a failed run goes on when it is run again. Random
        numbers that the loader and the models draw are drawn again after the run: it leaves the generators of torch,
        Python and NumPy as they were.
        """
        from tqdm.auto import tqdm

        with random_state_kept(self._devices):
            self._begin()
            begun = self.n_batches
            total = self.progress.n_batches_likely
            with tqdm(total=total, initial=begun, unit="batch", desc=self._title(), disable=not progress) as bar:
                for _ in self._batches():
                    bar.total = self.progress.n_batches_likely
                    bar.update()
        if self._error is not None:
            raise self._error
        result = self.result
        for note in result.notes:
            if note not in self._warned:
                warnings.warn(note, stacklevel=2)
        return result

    def start(self) -> "Comparison":
        """Run on a background thread and return at once.

        A model whose first forward pass draws random numbers of torch's gets a stream of its own, and leaves that of
        other cells alone; what the loader draws is not put back, for other cells may be drawing at the same time.
        """
        self._begin()
        autocast = autocast_here(self._devices)
        if self._single_pass is not None:
            self._single_pass.use_own_random_stream()

        def work() -> None:
            try:
                with autocast():
                    for _ in self._batches():
                        pass
            except BaseException:  # kept in `error`, for `wait` and for displays
                pass
            finally:
                atexit.unregister(self._leave)

        release_workers()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(work,), name=self._title(), daemon=True)
        atexit.register(self._leave)
        self._thread.start()
        return self

    def _leave(self) -> None:
        """When Python ends: a thread that is inside torch then would take the process down."""
        self._tell(stopping=True)
        if self._thread is not None:
            self._thread.join(LEAVES_WITHIN)

    def pause(self) -> None:
        """Hold the run before its next batch."""
        self._tell(pausing=True)

    def resume(self) -> None:
        """Let a paused run go on; or, in the background, a failed one whose cause is mended.

        A failed run tries the batch in which it failed again. Where the loader itself failed, it begins that one again,
        from the same random numbers, and passes over the batches that it had; so an iterator, which cannot begin again,
        cannot go on.
        """
        if self._state == "failed":
            self.start()
        else:
            self._tell(pausing=False)

    def stop(self) -> None:
        """End the run before its next batch; the result so far stays."""
        if self._state == "ready":
            self._end("stopped")
        else:
            self._tell(stopping=True)

    def close(self) -> None:
        """Stop, and let the models and the loader go, those of a failed run too; what was computed stays."""
        self.stop()
        if self._state == "failed":
            self._runner = None

    def wait(self, timeout: float | None = None) -> SimilarityResult:
        """Wait for the run's end and return the result; raises what a failed run raised.

        Raises TimeoutError after `timeout` seconds; the run goes on.
        """
        with self._changed:
            if self._state == "ready":
                raise RuntimeError("this comparison was not started: call start() or run() first")
            if not self._changed.wait_for(lambda: self._state in ENDED, timeout):
                raise TimeoutError(f"the run is still {self._state} after {timeout} s")
        if self._error is not None:
            raise self._error
        return self.result

    def wait_for_batches(self, n: int, timeout: float | None = None) -> bool:
        """Wait until `n` batches are through or the run has ended; whether that came within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.n_batches >= n or self._state in ENDED, timeout)

    def wait_for_state(self, state: RunState, timeout: float | None = None) -> bool:
        """Wait until the run is in `state` or has ended; whether it is in `state` within `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._state == state or self._state in ENDED, timeout)
            return self._state == state

    def _tell(self, *, pausing: bool | None = None, stopping: bool | None = None) -> None:
        with self._changed:
            self._pausing = self._pausing if pausing is None else pausing
            self._stopping = self._stopping if stopping is None else stopping
            self._changed.notify_all()

    # --- the loop ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        with self._changed:
            if self._state not in ("ready", "failed") or self._runner is None:
                raise RuntimeError(f"this comparison is {self._state}: a comparison runs once; make a new one")
            self._state = "running"
            self._error = None
        self._say_changed()

    def _batches(self) -> Iterator[None]:
        """Take the batches one by one; the state is right at every exit."""
        runner = self._runner
        assert runner is not None
        state: RunState = "failed"
        try:
            with runner:
                while self._may_go_on(runner) and runner.step():
                    runner.save()
                    self._say_changed()
                    yield
                runner.finish(for_good=not self._stopping)
            state = "stopped" if self._stopping else "finished"
        except (KeyboardInterrupt, GeneratorExit):
            state = "stopped"
            runner.finish(for_good=False)
            raise
        except BaseException as error:
            self._error = error
            runner.locate(error)
            with suppress(Exception):  # the samples still waiting to be joined count as well
                runner.finish(for_good=False)
            raise
        finally:
            self._end(state)

    def _may_go_on(self, runner: Runner) -> bool:
        """Hold while paused; whether the run takes another batch."""
        if runner.has_enough():
            return False
        while self._pausing and not self._stopping:
            runner.save(now=True)
            runner.single_pass.drop_scratch()
            self._state = "paused"
            self._say_changed()
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or not self._pausing)
            self._state = "running"
            self._say_changed()
        return not self._stopping

    def _restore(self, checkpoint: Checkpoint, path: str | PathLike[str], seconds: float) -> None:
        """Before it is started: go on where the run of a checkpoint stood; see `simwidget.resume`."""
        assert self._runner is not None
        self._runner.restore(checkpoint, path, seconds)
        self._pass_state = self._runner.single_pass.freeze()

    def _end(self, state: RunState) -> None:
        """Keep the numbers, let the models and the loader go unless the run may go on, and say so."""
        runner = self._runner
        assert runner is not None
        runner.single_pass.release()
        self._pass_state = runner.single_pass.freeze()
        self._last = RunSummary.of(runner)
        self._warned = runner.single_pass.warned
        with self._changed:
            if state != "failed":
                self._runner = None
            self._state = state
        self._say_changed()

    # --- words -------------------------------------------------------------------------------------------------------

    def _title(self) -> str:
        return " × ".join(self._queries.names) if len(self._queries.names) < 4 else f"{len(self._queries.names)} models"

    def _notes(self) -> list[str]:
        notes = list(self._summary().notes)
        if self._state == "failed" and self._error is not None:
            what = describe_error(self._error)
            notes.append(f"the run failed after {self.n_batches} batches ({what}); the numbers are those until then")
        return notes

    def _summary(self) -> RunSummary:
        runner = self._runner
        return self._last if runner is None else RunSummary.of(runner)

    def _provenance(self, pass_state: PassState) -> dict[str, Any]:
        given = {"device": ", ".join(map(str, self._devices)), "options": dict(self._options), "loader": self._order}
        return self._summary().provenance(pass_state, self._state, given)

    def _ipython_display_(self) -> None:
        """In a notebook: start the run in the background and show it live; elsewhere just say what this is."""
        from IPython import get_ipython

        if getattr(get_ipython(), "kernel", None) is None:
            print(repr(self))
            return
        from simwidget.widget import SimilarityHeatmap

        SimilarityHeatmap(self)._ipython_display_()
        if self._state == "ready":
            self.start()

    def __repr__(self) -> str:
        of = "" if self._n_expected is None else f" of {self._n_expected}"
        return f"<Comparison {self._title()}: {self._state}, {self.n_batches}{of} batches>"


def _length(loader: Any, max_batches: int | None) -> int | None:
    try:
        length: int | None = len(loader)
    except TypeError:
        length = None
    return min((n for n in (length, max_batches) if n is not None), default=None)
