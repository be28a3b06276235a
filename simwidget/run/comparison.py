"""The run: one pass of the loader through the models, on this thread or behind the notebook, watched from outside."""

import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simwidget.data.loader import check_loader, describe_loader, length_of
from simwidget.estimate.convergence import Curve
from simwidget.estimate.pass_state import PassState
from simwidget.inspection.pair import Inspection
from simwidget.plan.model import SimilarityModel
from simwidget.plan.options import Options
from simwidget.restore.randomness import preserved_random_state
from simwidget.restore.threads import use_one_core
from simwidget.result.similarity_result import SimilarityResult, View
from simwidget.run.background import start_in_background
from simwidget.run.bar import show_bar
from simwidget.run.checkpoint import Checkpoint
from simwidget.run.held_runner import HeldRunner
from simwidget.run.lifecycle import Lifecycle
from simwidget.run.loop import take_batches
from simwidget.run.progress import Progress, RunState
from simwidget.run.queries import Queries
from simwidget.run.runner import Runner
from simwidget.text.errors import describe_error


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
        lengths = (length_of(loader), plan.limits.max_batches)
        self._n_expected = min((n for n in lengths if n is not None), default=None)
        devices = ", ".join(map(str, self._devices))
        self._given = {"device": devices, "options": dict(plan.as_given), "loader": describe_loader(loader)}
        self._held = HeldRunner(Runner(plan, loader, self._queries))
        self._lifecycle = Lifecycle()
        self._thread: threading.Thread | None = None

    # --- what it says of itself --------------------------------------------------------------------------------------

    @property
    def state(self) -> RunState:
        """ "ready", "running", "paused", "stopped", "finished" or "failed"."""
        return self._lifecycle.state

    @property
    def error(self) -> BaseException | None:
        """The exception that ended a failed run."""
        return self._lifecycle.error

    @property
    def n_batches(self) -> int:
        """Batches of the loader that have gone through the models."""
        return self._held.n_batches

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
        summary, error = self._held.summary, self.error
        return Progress(
            self.state,
            self._held.n_batches,
            self._n_expected,
            self._held.n_samples,
            summary.seconds,
            None if error is None else describe_error(error),
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
        pass_state = self._held.freeze()
        return self._queries.result(
            pass_state,
            measures,
            pairs,
            complete=self.state == "finished",
            notes=self._notes(),
            provenance=self._provenance(pass_state),
        )

    def convergence(self, layer_x: str, layer_y: str, view: View = "xy") -> dict[str, Curve]:
        """How the numbers of one pair of layers came about: measure -> values and errors over the batches.

        At most 200 moments are kept of a run, evenly spaced; the last point is the present estimate. The differences
        of measures are among the keys.
        """
        return self._queries.convergence(self._held.freeze(), layer_x, layer_y, view)

    def gram(self, layer: str, model: str | None = None) -> NDArray[np.float32] | None:
        """The Gram matrix (m, m) of one layer in the latest batch, features centred; None before there is one.

        Of a batch whose Gram matrices take more than 64 MB together, the first m samples.
        """
        self._queries.check_model(model)
        return self._queries.gram(self._held.freeze(sums=False), layer, model)

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
        pass_state, single_pass = self._held.freeze(sums=False), self._held.single_pass
        rows = self._queries.pair(pass_state, layer_x, layer_y, view)
        if single_pass is not None:
            single_pass.inspector.follow(*(pass_state.rows[row].key for row in rows))
            pass_state = self._held.freeze(sums=False)
        return self._queries.inspect(pass_state, layer_x, layer_y, view)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every batch and every change of state, on the thread of the change; returns the way out.

        The callback must return at once: the run waits for it.
        """
        return self._lifecycle.watch(callback)

    def _on_display_thread(self) -> None:
        """Called once on a display's own thread: what that asks for then takes one core, and does not slow the run."""
        use_one_core()

    # --- what it can be told -----------------------------------------------------------------------------------------

    def run(self, progress: bool = True) -> SimilarityResult:
        """Run to the end on this thread, with a tqdm bar, and return the result.

        An exception in the loader, a model or a hook ends the run as "failed" and is raised; an interrupt ends it as
        "stopped". In both cases `result` keeps the numbers so far; a failed run goes on when it is run again. Random
        numbers that the loader and the models draw are drawn again after the run: it leaves the generators of torch,
        Python and NumPy as they were.
        """
        with preserved_random_state(self._devices):
            self._begin()
            batches = take_batches(self._held, self._lifecycle)
            show_bar(batches, lambda: self.progress, self._title(), shown=progress)
        if self.error is not None:
            raise self.error
        result = self.result
        for note in result.notes:
            if note not in self._held.warned:
                warnings.warn(note, stacklevel=2)
        return result

    def start(self) -> "Comparison":
        """Run on a background thread and return at once.

        A model whose first forward pass draws random numbers of torch's gets a stream of its own, and leaves that of
        other cells alone; what the loader draws is not put back, for other cells may be drawing at the same time.
        """
        self._begin()
        if self._held.single_pass is not None:
            self._held.single_pass.use_own_random_stream()
        batches = take_batches(self._held, self._lifecycle)
        self._thread = start_in_background(batches, self._title(), self._devices, self.stop)
        return self

    def pause(self) -> None:
        """Hold the run before its next batch."""
        self._lifecycle.pause(True)

    def resume(self) -> None:
        """Let a paused run go on; or, in the background, a failed one whose cause is mended.

        A failed run tries the batch in which it failed again. Where the loader itself failed, it begins that one again,
        from the same random numbers, and passes over the batches that it had; so an iterator, which cannot begin again,
        cannot go on.
        """
        if self.state == "failed":
            self.start()
        else:
            self._lifecycle.pause(False)

    def stop(self) -> None:
        """End the run before its next batch; the result so far stays."""
        if self._lifecycle.stop():
            self._held.drop()

    def close(self) -> None:
        """Stop, and let the models and the loader go, those of a failed run too; what was computed stays."""
        self.stop()
        if self.state == "failed":
            self._held.drop()

    def wait(self, timeout: float | None = None) -> SimilarityResult:
        """Wait for the run's end and return the result; raises what a failed run raised.

        Raises TimeoutError after `timeout` seconds; the run goes on.
        """
        if self.state == "ready":
            raise RuntimeError("this comparison was not started: call start() or run() first")
        if not self._lifecycle.wait_for(lambda: self._lifecycle.has_ended, timeout):
            raise TimeoutError(f"the run is still {self.state} after {timeout} s")
        if self.error is not None:
            raise self.error
        return self.result

    def wait_for_batches(self, n: int, timeout: float | None = None) -> bool:
        """Wait until `n` batches are through or the run has ended; whether that came within `timeout` seconds."""
        return self._lifecycle.wait_for(lambda: self.n_batches >= n or self._lifecycle.has_ended, timeout)

    def wait_for_state(self, state: RunState, timeout: float | None = None) -> bool:
        """Wait until the run is in `state` or has ended; whether it is in `state` within `timeout` seconds."""
        self._lifecycle.wait_for(lambda: self.state == state or self._lifecycle.has_ended, timeout)
        return self.state == state

    def _begin(self) -> None:
        if self._held.runner is None:
            raise RuntimeError(f"this comparison is {self.state}: a comparison runs once; make a new one")
        self._lifecycle.begin()

    def _restore(self, checkpoint: Checkpoint, path: str | PathLike[str], seconds: float) -> None:
        """Before it is started: go on where the run of a checkpoint stood; see `simwidget.resume`."""
        assert self._held.runner is not None
        self._held.runner.restore(checkpoint, path, seconds)
        self._held.keep()

    # --- words -------------------------------------------------------------------------------------------------------

    def _title(self) -> str:
        return " × ".join(self._queries.names) if len(self._queries.names) < 4 else f"{len(self._queries.names)} models"

    def _notes(self) -> list[str]:
        notes = list(self._held.summary.notes)
        if self.error is not None:
            what = describe_error(self.error)
            notes.append(f"the run failed after {self.n_batches} batches ({what}); the numbers are those until then")
        return notes

    def _provenance(self, pass_state: PassState) -> dict[str, Any]:
        return self._held.summary.provenance(pass_state, self.state, self._given)

    def _ipython_display_(self) -> None:
        """In a notebook: start the run in the background and show it live; elsewhere just say what this is."""
        from IPython import get_ipython

        if getattr(get_ipython(), "kernel", None) is None:
            print(repr(self))
            return
        from simwidget.widget import SimilarityHeatmap

        SimilarityHeatmap(self)._ipython_display_()
        if self.state == "ready":
            self.start()

    def __repr__(self) -> str:
        of = "" if self._n_expected is None else f" of {self._n_expected}"
        return f"<Comparison {self._title()}: {self.state}, {self.n_batches}{of} batches>"
