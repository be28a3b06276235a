"""`Comparison`: the public class with which users control a run and read its results."""

import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simwidget.data.loader import check_loader, describe_loader, length_of
from simwidget.estimate.convergence import Curve
from simwidget.inspection.pair_inspection import Inspection
from simwidget.plan.options import Options
from simwidget.plan.similarity_model import SimilarityModel
from simwidget.restore.interrupts import interrupts_held
from simwidget.restore.openmp import use_one_core
from simwidget.restore.randomness import preserved_random_state
from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View
from simwidget.run.background import start_in_background
from simwidget.run.bar import show_bar
from simwidget.run.checkpoint import Checkpoint
from simwidget.run.held_runner import HeldRunner
from simwidget.run.lifecycle import Lifecycle
from simwidget.run.loop import take_batches
from simwidget.run.progress import Progress, RunState
from simwidget.run.queries import Queries
from simwidget.run.runner import Runner


class Comparison:
    """A run that compares the layers of models. Made by `compare` or `resume`.

    `run()` blocks and shows a progress bar; `start()` runs on a background thread, so that the notebook stays usable.
    The run can be paused, resumed and stopped between two batches, and `result` gives the partial result at any time.
    All methods may be called from any thread.

    However the run ends, its hooks are removed, the models are restored, and the result so far is kept. If a model
    itself writes into its parameters or into buffers over 16 MiB, these changes may remain. A note in the result then
    says so.

    Once the cause of a failure is fixed, a failed run can be continued with `resume()` or `run()`. Therefore a failed
    run keeps references to the models and the loader until `close()` is called. A stopped or finished run keeps none.
    """

    def __init__(self, models: Sequence[SimilarityModel], loader: Iterable[Any], options: Options) -> None:
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

    # --- state and results -------------------------------------------------------------------------------------------

    @property
    def state(self) -> RunState:
        """The state of the run: "ready", "running", "paused", "stopped", "finished" or "failed"."""
        return self._lifecycle.state

    @property
    def error(self) -> BaseException | None:
        """The exception that ended a failed run; None in every other state."""
        return self._lifecycle.error

    @property
    def n_batches(self) -> int:
        """The number of the loader's batches that have passed through the models."""
        return self._held.n_batches

    @property
    def n_batches_expected(self) -> int | None:
        """The length of the loader or the limit `max_batches`, whichever is smaller.

        If only one of these two numbers is known, that number; None if neither is known.
        """
        return self._n_expected

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the compared models, in order."""
        return self._queries.names

    @property
    def progress(self) -> Progress:
        """The progress of the run at this moment: its state, batches, samples and seconds. Cheap to compute."""
        return self._held.progress(self._lifecycle, self._n_expected)

    @property
    def result(self) -> SimilarityResult:
        """The result so far: partial until the run finishes, and still available if the run fails or is stopped."""
        return self.snapshot()

    def snapshot(
        self, measures: Sequence[str] | None = None, pairs: Iterable[tuple[int, int]] | None = None
    ) -> SimilarityResult:
        """The result so far, restricted to some of the measures and pairs of models.

        Args:
            measures: names of measures; by default all. The name of a difference, such as "cka-dcka", selects both
                measures and their difference.
            pairs: pairs of models, each model given by its index in `models`; by default all pairs. (0, 1) compares the
                first model with the second.
        """
        pass_state = self._held.freeze()
        return self._queries.result(
            pass_state,
            measures,
            pairs,
            complete=self.state == "finished",
            notes=self._held.notes(self.error),
            provenance=self._held.summary.provenance(pass_state, self.state, self._given),
        )

    def convergence(self, layer_x: str, layer_y: str, view: View = "xy") -> dict[str, Curve]:
        """The convergence curves of one pair of layers: estimates and standard errors against the number of batches.

        Args:
            layer_x: a layer of the view's first model.
            layer_y: a layer of the view's second model.
            view: the two models, as in `SimilarityResult.matrix`.

        Returns:
            A dict of curves, one for each measure and one for each difference of two measures, by name. A curve has at
            most 200 points. Its last point is the present estimate; its earlier points are evenly spaced.

        Raises:
            ValueError: an unknown model or layer.
        """
        return self._queries.convergence(self._held.freeze(), layer_x, layer_y, view)

    def gram(self, layer: str, model: str | None = None) -> NDArray[np.float32] | None:
        """The Gram matrix (m, m) of one layer, computed from centred features.

        The m samples are those of the latest batch. If batches have fewer than `gram_batch` samples, several batches
        are joined. If the Gram matrices of all layers on these samples would take more than 64 MiB, only the first
        samples are used.

        Args:
            layer: the name of the layer.
            model: the name of the layer's model; by default the first model.

        Returns:
            The Gram matrix; None before the first Gram matrix, and for a layer without a representation.

        Raises:
            ValueError: an unknown model or layer.
        """
        self._queries.check_model(model)
        return self._queries.gram(self._held.freeze(sums=False), layer, model)

    def inspect(self, layer_x: str, layer_y: str, view: View = "xy") -> Inspection | None:
        """Gram matrices and spectra of two layers, and the samples on which the two layers agree least and most.

        The Gram matrices and spectra are those of the latest batch. The first call for a pair of layers compares the
        layers on the samples of the latest batch. From then on the run follows the pair: it compares the layers on the
        samples of every new batch, and keeps the samples with the least and most agreement so far. A run follows at
        most four pairs. A fifth pair replaces the pair whose latest call of `inspect` is longest ago.

        Args:
            layer_x: a layer of the view's first model.
            layer_y: a layer of the view's second model.
            view: the two models, as in `SimilarityResult.matrix`.

        Returns:
            An `Inspection`. None before the first Gram matrix, and if one of the layers has no representation.

        Raises:
            ValueError: an unknown model or layer; the message suggests similar names.

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
        """Call `callback` after every batch and every change of state, until the returned function is called.

        The callback must return quickly, because the run waits for it. It is called on the thread of the run, with two
        exceptions. When a background run begins, it is called on the thread that calls `start()` or `resume()`. When a
        run is stopped before it has begun, it is called on the thread that calls `stop()` or `close()`.
        """
        return self._lifecycle.watch(callback)

    def _on_display_thread(self) -> None:
        """Let torch use only one CPU core on the calling thread.

        A display calls this on its own thread, so that the display does not slow the run.
        """
        use_one_core()

    # --- control -----------------------------------------------------------------------------------------------------

    def run(self, progress: bool = True) -> SimilarityResult:
        """Run to the end on the calling thread, with a tqdm bar unless `progress` is False, and return the result.

        If the loader, a model or a function of the user raises an exception, the run ends in the state "failed". After
        a keyboard interrupt, the run ends in the state "stopped". In both cases the exception is raised, and `result`
        is still available. To continue with the batch that failed, call `run()` again. When `run()` returns or raises,
        it gives the global random generators of torch, Python and NumPy the state that they had before the call.
        """
        with interrupts_held(), preserved_random_state(self._devices):
            self._begin()
            with closing(take_batches(self._held, self._lifecycle)) as batches:
                show_bar(batches, lambda: self.progress, self._queries.title, shown=progress)
        if self.error is not None:
            raise self.error
        result = self.result
        for note in result.notes:
            if note not in self._held.warned:
                warnings.warn(note, stacklevel=2)
        return result

    def start(self) -> "Comparison":
        """Run on a background thread and return immediately.

        If the first forward pass of a model draws random numbers from torch, the model gets a random stream of its own,
        so that the random numbers of other notebook cells do not change. The loader draws its random numbers from the
        global generators. Unlike `run()`, a background run does not restore the global generators when it ends, because
        other cells may be using them at the same time.
        """
        with interrupts_held():
            self._begin()
            if self._held.single_pass is not None:
                self._held.single_pass.use_own_random_stream()
            batches = take_batches(self._held, self._lifecycle)
            try:
                self._thread = start_in_background(batches, self._queries.title, self._devices, self.stop)
            except Exception as error:  # the system has no thread left
                self._lifecycle.enter("failed", error)
                raise
        return self

    def pause(self) -> None:
        """Pause the run before its next batch. This has no effect on a run that has not begun or has ended."""
        self._lifecycle.pause(True)

    def resume(self) -> None:
        """Continue a paused run, or continue a failed run in the background once the cause of its failure is fixed.

        A failed run continues with the batch that failed. If the loader itself raised the exception, the loader is
        iterated again from its beginning, and the completed batches are skipped. Before that, the random generators get
        the state that they had before the first batch. A run cannot continue if its loader is a plain iterator that
        raised an exception, because a plain iterator cannot be iterated again.
        """
        if self.state == "failed":
            self.start()
        else:
            self._lifecycle.pause(False)

    def stop(self) -> None:
        """End the run before its next batch; the result so far is kept."""
        if self._lifecycle.stop():
            self._held.drop()

    def close(self) -> None:
        """Stop the run and drop its references to the models and the loader; the result so far is kept.

        A failed run cannot be resumed afterwards.
        """
        self.stop()
        if self.state == "failed":
            self._held.drop()

    def wait(self, timeout: float | None = None) -> SimilarityResult:
        """Wait for the end of the run and return the result.

        Raises:
            TimeoutError: the run has not ended within `timeout` seconds; the run goes on.
            RuntimeError: the run was not started.
            Exception: the exception that ended the run, if the run failed.
        """
        if self.state == "ready":
            raise RuntimeError("this comparison was not started: call start() or run() first")
        if not self._lifecycle.wait_for(lambda: self._lifecycle.has_ended, timeout):
            raise TimeoutError(f"the run is still {self.state} after {timeout} s")
        if self.error is not None:
            raise self.error
        return self.result

    def wait_for_batches(self, n: int, timeout: float | None = None) -> bool:
        """Wait until `n` batches are done or the run has ended, at most `timeout` seconds.

        Returns:
            True if `n` batches are done or the run has ended; False after `timeout` seconds.
        """
        return self._lifecycle.wait_for(lambda: self.n_batches >= n or self._lifecycle.has_ended, timeout)

    def wait_for_state(self, state: RunState, timeout: float | None = None) -> bool:
        """Wait until the run is in `state` or has ended, at most `timeout` seconds.

        Returns:
            Whether the run is in `state`.
        """
        self._lifecycle.wait_for(lambda: self.state == state or self._lifecycle.has_ended, timeout)
        return self.state == state

    def _begin(self) -> None:
        if self._held.runner is None:
            raise RuntimeError(f"this comparison is {self.state}: a comparison runs once; make a new one")
        self._lifecycle.begin()

    def _restore(self, checkpoint: Checkpoint, path: str | PathLike[str], seconds: float) -> None:
        """Make this run continue from `checkpoint`; called by `simwidget.resume` before the run starts.

        Later checkpoints are written to `path`: at most one in `seconds` seconds, and one at each pause and at the end.
        """
        assert self._held.runner is not None
        self._held.runner.restore(checkpoint, path, seconds)
        self._held.keep()

    def _ipython_display_(self) -> None:
        """In a notebook, show the run as a live heatmap, and start the run if its state is "ready".

        Elsewhere, print the repr.
        """
        from IPython import get_ipython

        if getattr(get_ipython(), "kernel", None) is None:
            print(repr(self))
            return
        from simwidget.widget import SimilarityHeatmap

        heatmap = SimilarityHeatmap(self)
        heatmap.close_with_its_cell()
        heatmap._ipython_display_()
        if self.state == "ready":
            self.start()

    def __repr__(self) -> str:
        of = "" if self._n_expected is None else f" of {self._n_expected}"
        return f"<Comparison {self._queries.title}: {self.state}, {self.n_batches}{of} batches>"
