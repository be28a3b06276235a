"""What a heatmap can show: a run, or a result that is there already."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from simwidget.inspection.pair import Inspection
from simwidget.result.similarity_result import SimilarityResult
from simwidget.run.progress import Progress, RunState


@runtime_checkable
class Source(Protocol):
    """Numbers as of this moment, and word of their changes. Every method may be called from any thread."""

    @property
    def progress(self) -> Progress: ...

    def snapshot(
        self, measures: Sequence[str] | None = None, pairs: Iterable[tuple[int, int]] | None = None
    ) -> SimilarityResult: ...

    def convergence(self, layer_x: str, layer_y: str, view: tuple[str, str]) -> Mapping[str, Any]:
        """Measure -> its curve over batches; nothing where there is none."""
        ...

    def inspect(self, layer_x: str, layer_y: str, view: tuple[str, str]) -> Inspection | None:
        """What two layers make of the samples; None where that is not known."""
        ...

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]: ...

    def _on_display_thread(self) -> None:
        """Called once on a thread of a display: what that asks for from now on must not slow the run."""
        ...


class Still:
    """A result that changes only when another one is put in its place."""

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
    """The run itself, or a still of a result. A run is known by what it can do: its module brings torch."""
    if isinstance(shown, SimilarityResult):
        return Still(shown)
    if isinstance(shown, Source):
        return shown
    raise TypeError(f"a heatmap shows a Comparison or a SimilarityResult, and was given: {type(shown).__name__}")
