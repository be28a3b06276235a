"""The sources of a heatmap's numbers: a run, or a fixed result."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from simwidget.inspection.pair_inspection import Inspection
from simwidget.result.similarity_result import SimilarityResult
from simwidget.run.progress import Progress, RunState


@runtime_checkable
class Source(Protocol):
    """The present numbers, and a callback when they change. Methods may be called from any thread."""

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        ...

    def snapshot(
        self, measures: Sequence[str] | None = None, pairs: Iterable[tuple[int, int]] | None = None
    ) -> SimilarityResult:
        """The present result, for some of the measures and pairs of models; all of them by default."""
        ...

    def convergence(self, layer_x: str, layer_y: str, view: tuple[str, str]) -> Mapping[str, Any]:
        """Measure -> its curve over the batches; empty where none is known."""
        ...

    def inspect(self, layer_x: str, layer_y: str, view: tuple[str, str]) -> Inspection | None:
        """Gram matrices, spectra and samples of two layers; None where they are not known."""
        ...

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function at every change; returns the function that ends this."""
        ...

    def _on_display_thread(self) -> None:
        """Called once on the thread of a display; a run limits that thread here, so that it does not slow the run."""
        ...


class StaticSource:
    """A result; it changes only when `replace` puts another one in its place."""

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
        """Show another result from now on."""
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
    """A result as a `StaticSource`, and a run as itself. Raises TypeError for anything else.

    A run is recognised by its methods, since importing its class would import torch.
    """
    if isinstance(shown, SimilarityResult):
        return StaticSource(shown)
    if isinstance(shown, Source):
        return shown
    raise TypeError(f"a heatmap shows a Comparison or a SimilarityResult, and was given: {type(shown).__name__}")


COMMANDS = ("start", "pause", "resume", "stop")
"""What a page may ask of a comparison."""


def run_command(source: Source, name: str) -> str | None:
    """Run one of the `COMMANDS` on a source. Returns the error for the page, or None."""
    if name not in COMMANDS or not hasattr(source, name):
        return f"this heatmap cannot {name}"
    try:
        getattr(source, name)()
    except Exception as error:  # the page must show any error
        return str(error)
    return None
