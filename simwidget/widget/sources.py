"""The sources of a heatmap's numbers: a run, or a fixed result."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from simwidget.inspection.pair_inspection import Inspection
from simwidget.result.similarity_result import SimilarityResult
from simwidget.run.progress import Progress, RunState


@runtime_checkable
class Source(Protocol):
    """The interface through which a heatmap reads the numbers of a run or a fixed result.

    The methods may be called from any thread.
    """

    @property
    def progress(self) -> Progress:
        """The state of the run, such as "running", and the counts of its batches and samples."""
        ...

    def snapshot(
        self, measures: Sequence[str] | None = None, pairs: Iterable[tuple[int, int]] | None = None
    ) -> SimilarityResult:
        """Return the present result. By default it has all measures and all pairs of models.

        Args:
            measures: names of the measures that are needed; the result may have more.
            pairs: pairs of models that are needed, by position; the result may have more.
        """
        ...

    def convergence(self, layer_x: str, layer_y: str, view: tuple[str, str]) -> Mapping[str, Any]:
        """Return the curves of one pair of layers over the batches, as measure -> curve; empty if there are no curves.

        Args:
            layer_x: the name of a layer of the view's first model.
            layer_y: the name of a layer of the view's second model.
            view: the names of the two models.
        """
        ...

    def inspect(self, layer_x: str, layer_y: str, view: tuple[str, str]) -> Inspection | None:
        """Return Gram matrices, spectra and samples of two layers; None if they are not known.

        Args:
            layer_x: the name of a layer of the view's first model.
            layer_y: the name of a layer of the view's second model.
            view: the names of the two models.
        """
        ...

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after every change of the numbers. Return a function that ends these calls."""
        ...

    def _on_display_thread(self) -> None:
        """Prepare the calling thread for sending the numbers to the pages. The thread calls this method when it starts.

        A `Comparison` limits the thread to one CPU core, so that displaying does not slow the run.
        """
        ...


class StaticSource:
    """A fixed result as the source of a heatmap. Only `replace` changes the numbers."""

    def __init__(self, result: SimilarityResult) -> None:
        self._result = result
        self._watchers: list[Callable[[], None]] = []

    @property
    def progress(self) -> Progress:
        result = self._result
        state: RunState = "finished" if result.complete else "stopped"
        seconds: Any = result.provenance.get("seconds")  # a file may say anything there
        known = isinstance(seconds, int | float) and 0 <= seconds < 1e15
        return Progress(state, result.n_batches, None, result.n_samples, float(seconds) if known else 0.0)

    def replace(self, result: SimilarityResult) -> None:
        """Replace the result by another one, and notify the heatmap."""
        self._result = result
        for callback in tuple(self._watchers):
            callback()

    def snapshot(
        self, measures: Sequence[str] | None = None, pairs: Iterable[tuple[int, int]] | None = None
    ) -> SimilarityResult:
        return self._result

    def convergence(self, layer_x: str, layer_y: str, view: tuple[str, str]) -> Mapping[str, Any]:
        return {}

    def inspect(self, layer_x: str, layer_y: str, view: tuple[str, str]) -> Inspection | None:
        return None

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def _on_display_thread(self) -> None:
        pass


def source_of(shown: Any) -> Source:
    """Return a `StaticSource` of a result, or the run itself if a run is given. Raise TypeError for anything else.

    A run is recognised by its methods, since importing its class would import torch.
    """
    if isinstance(shown, SimilarityResult):
        return StaticSource(shown)
    if isinstance(shown, Source):
        return shown
    raise TypeError(f"a heatmap shows a Comparison or a SimilarityResult, and was given: {type(shown).__name__}")


COMMANDS = ("start", "pause", "resume", "stop")
"""Names of the methods of a `Comparison` that a browser page may call."""


def run_command(source: Source, name: str) -> str | None:
    """Call the source's method `name`, one of `COMMANDS`. Return the error message, or None on success."""
    if name not in COMMANDS or not hasattr(source, name):
        return f"this heatmap cannot {name}"
    try:
        getattr(source, name)()
    except Exception as error:  # the page must show any error
        return str(error)
    return None
