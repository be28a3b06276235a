"""`SimilarityHeatmap`: the Jupyter widget, its synced traits, and the handling of messages from browser pages.

Never imports torch.
"""

import contextvars
import logging
import weakref
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from simwidget.files.atomic import open_for_writing
from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View
from simwidget.widget import trait_checks
from simwidget.widget.encoding import axes_of, encode_snapshot, info_of, measures_of
from simwidget.widget.exports import FORMATS, Appearance, fetch, file_of
from simwidget.widget.front_end import FrontEnd
from simwidget.widget.publisher import Publisher
from simwidget.widget.shown_cells import ShownCells, close_layout
from simwidget.widget.sources import Source, StaticSource, run_command, source_of
from simwidget.widget.still_output import StillOutput
from simwidget.widget.synced_state import SyncedState

if TYPE_CHECKING:
    from simwidget.run.comparison import Comparison


LOG = logging.getLogger("simwidget")
MAX_CLIENT_LENGTH = 64


class SimilarityHeatmap(SyncedState):
    """An interactive heatmap of a result, or of a run in progress.

    Clicking a cell selects a pair of layers. The pair is marked in every place where the widget is shown, and the trait
    `selection` is set to the pair in Python. The colour limits do not depend on the data. By default they are 0 and 1
    for a measure, -1 and 1 for a difference of measures, and 0 and 5 × `threshold` for standard errors. The trait
    `scale` can set other limits. Cells without a number are hatched, and hovering over such a cell shows the reason.
    Shown values have float32 precision. Values in a saved notebook are rounded by less than 1e-4.

    Args:
        shown: a `Comparison` or a `SimilarityResult`. A `Comparison` is shown, but not started.
        measure: the measure or difference of measures to show first; by default the first measure.
        view: the pair of models to show first, as in `SimilarityResult.matrix`.
        frames_per_second: the largest number of updates per second. Updates are less frequent if a page is slow, or if
            computing the updates would otherwise take more than 1.5 % of the run's time.

    Raises:
        TypeError: `shown` is neither a `Comparison` nor a `SimilarityResult`.
        ValueError: the measure or view is unknown, or `frames_per_second` is not positive. Later, setting a trait to an
            unknown measure, view, layer or block, or to an invalid scale, raises an error that is both a `ValueError`
            and a `traitlets.TraitError`.

    >>> import simwidget as sw
    >>> models, loader, _ = sw.demo.load()
    >>> comparison = sw.compare(models, loader, layers=["stage?"])
    >>> widget = sw.SimilarityHeatmap(comparison)
    >>> _ = comparison.run(progress=False)
    >>> widget.measure, widget.view, widget.result.n_samples
    ('cka', (0, 1), 1000)
    >>> widget.select("stage1", "stage2")
    >>> widget.close()
    """

    def __init__(
        self,
        shown: "Comparison | SimilarityResult",
        measure: str | None = None,
        view: View = "xy",
        *,
        frames_per_second: float = 10.0,
    ) -> None:
        self._lock = RLock()
        source = source_of(shown)
        self._shown: Callable[[], Source | None] = lambda: source
        if not frames_per_second > 0:
            raise ValueError(f"frames_per_second={frames_per_second}: give a number over 0")
        result = self._source.snapshot()
        measure = result.measures[0] if measure is None else measure
        result.matrix(measure, view)  # an unknown measure or view fails here
        self._publisher = Publisher(self, self._source, frames_per_second)  # type: ignore[arg-type]
        self._still = StillOutput(self._publisher.run_id, self._publisher.settle)
        self._cells = ShownCells(self._lock, lambda: [self])
        self._known = ([one["name"] for one in measures_of(result)], len(result.models))
        pair = result.positions(view)
        snapshot, meta = encode_snapshot(result, self._publisher.run_id, 0, pair)
        super().__init__(
            run_id=self._publisher.run_id,
            axes=axes_of(result),
            run=info_of(self._source.progress, list(result.notes)),
            snapshot=snapshot,
            snapshot_meta=meta,
            measure=measure,
            view=pair,
        )
        self.on_msg(self._on_message)
        self.observe(lambda _: self._publisher.ask(), ["measure", "view"])
        self.observe(lambda change: self._publisher.ask_detail(change["new"]), "selection")
        self.observe(lambda change: self._publisher.ask_details(change["new"]), "pinned")

    def __repr__(self) -> str:
        return f"<SimilarityHeatmap {self.measure} of {' × '.join(axis['model'] for axis in self.axes)}>"

    # --- what people call --------------------------------------------------------------------------------------------

    @property
    def source(self) -> Source:
        """The shown `Comparison`, or a `StaticSource` that contains the shown result."""
        return self._source

    @property
    def _source(self) -> Source:
        source = self._shown()
        if source is None:
            raise RuntimeError("this heatmap is closed, and the comparison that it showed is gone")
        return source

    @property
    def result(self) -> SimilarityResult:
        """The `SimilarityResult` that is shown; for a run, the result so far."""
        return self._source.snapshot()

    def show(self, result: SimilarityResult) -> None:
        """Replace the shown result by another result.

        Selected and pinned pairs, unfolded blocks and limits of the scale are dropped if the new result lacks their
        models, layers or measures. If the new result lacks the shown measure, the first measure of the new result is
        shown. The trait `view` contains positions of models. If the new result has no matrix for the models at these
        positions, the first pair of models of the new result is shown.

        Raises:
            TypeError: this widget shows a comparison.
        """
        if not isinstance(self._source, StaticSource):
            raise TypeError("this heatmap shows a comparison, which updates it; make another one for a result")
        names = [one["name"] for one in measures_of(result)]
        with self._lock:
            self._known = (names, len(result.models))
            state: dict[str, Any] = {}
            if self.measure not in names:
                state["measure"] = result.measures[0]
            pairs = {result.positions(view) for view in result.views()}
            if self.view not in pairs and self.view[::-1] not in pairs:
                state["view"] = result.positions(next(result.views()))
            axes = axes_of(result)
            state |= trait_checks.remaining(self, axes, names)
            self._source.replace(result)
            if state or axes != self.axes or not self._publisher.running:
                snapshot, meta = encode_snapshot(result, self.run_id, self._publisher.seq, self.view)
                # what remains is valid with the axes before and after
                self.write(**state, axes=axes, snapshot=snapshot, snapshot_meta=meta)

    def select(self, layer_x: str | None, layer_y: str | None = None) -> None:
        """Select a pair of layers, or clear the selection if either argument is None.

        Args:
            layer_x: the name of a layer of the view's first model.
            layer_y: the name of a layer of the view's second model.

        Raises:
            ValueError: `layer_x` or `layer_y` is not the name of a layer of its model.
        """
        if layer_x is None or layer_y is None:
            self.selection = None  # type: ignore[assignment]
            return
        x, y = (self.axes[i] for i in self.view)
        self.selection = {"model_x": x["model"], "layer_x": layer_x, "model_y": y["model"], "layer_y": layer_y}

    def export(self, path: str | PathLike[str], *, dpi: float = 200, figsize: tuple[float, float] = (7.6, 6.6)) -> None:
        """Export the heatmap to a file. The ending of the file name determines the format.

        Args:
            path: the path of the file. The ending is ".png", ".svg" or ".pdf" for a picture of the heatmap, drawn by
                matplotlib; ".csv" for a table of all measures of the two shown models, with standard errors; ".simw"
                for a file that `SimilarityResult.load` reads; ".html" for an interactive page that at first looks like
                the present heatmap.
            dpi: dots per inch of a picture. SVG and PDF files are vector graphics, but the cells are an embedded image
                with this resolution.
            figsize: width and height of a picture in inches.

        Raises:
            ValueError: the file name has none of these endings.
        """
        ending = Path(path).suffix
        if ending[1:].lower() not in FORMATS:
            raise ValueError(f"{Path(path).name!r}: a heatmap is exported to .{', .'.join(FORMATS)}")
        content = file_of(ending[1:].lower(), self._source, Appearance.of(self), dpi=dpi, figsize=figsize)
        with open_for_writing(path, "wb") as file:
            file.write(content)

    def close(self) -> None:
        """Remove the widget from every page. If the heatmap shows a run, the run continues.

        After that, the heatmap has only a weak reference to its `Comparison`.
        """
        if hasattr(self, "_publisher"):
            self._publisher.close()
            self._still.close()
            self._cells.close()
            source = self._shown()
            if source is not None and not isinstance(source, StaticSource):
                self._shown = weakref.ref(source)
        super().close()
        close_layout(self)
        FrontEnd.close_unless_used()

    def _ipython_display_(self, **options: Any) -> None:
        """Show two outputs: the live heatmap, and a static output for notebooks without a kernel."""
        from IPython.display import display

        self._cells.add()
        data, metadata = self._repr_mimebundle_(**options)  # type: ignore[misc]
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        self.show_still_output()

    def close_with_its_cell(self) -> None:
        """Make the widget close itself as soon as no cell output shows it, usually because its cell is run again.

        A closed widget cannot be displayed again. Call this method only if no user code has a reference to the widget.
        """
        self._cells.when_gone = self.close

    def show_still_output(self) -> None:
        """Add the static output to the running cell, and start sending data to the browser pages.

        If this heatmap is displayed as part of another widget, the other widget must call this method.
        """
        self._still.show(self._source.snapshot())
        self._publisher.begin()

    # --- messages --------------------------------------------------------------------------------------------------

    def keep(self, result: SimilarityResult) -> None:
        """Show a result in the static output, which a notebook can display without a kernel."""
        self._still.update(result)

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:
        """Handle a message from a browser page; a malformed message is ignored."""
        try:
            self._handle(content["type"], content)
        except (KeyError, TypeError, ValueError, OverflowError) as problem:
            LOG.debug("a malformed message from a page was ignored: %s: %s", type(problem).__name__, problem)

    def _handle(self, kind: str, content: Mapping[str, Any]) -> None:
        """Handle the message `content` of the type `kind`. A malformed message may raise an exception."""
        if kind == "ready":
            self._publisher.ready(_client_of(content), str(content["run_id"]), int(content["have_seq"]))
        elif kind == "ack":
            self._publisher.acknowledge(_client_of(content), int(content["seq"]), bool(content["hidden"]))
        elif kind == "need" and content.get("what") == "frame":
            self._publisher.ask()
        elif kind == "need" and isinstance(content.get("pair"), Mapping):
            self._publisher.ask_detail(trait_checks.check_pair("pair", content["pair"], self.axes))
        elif kind == "command":
            name, number = str(content["name"]), int(content["id"])
            self.send({"type": "reply", "id": number, "error": run_command(self._source, name)})
        elif kind == "need_front_end":
            self.send({"type": "front_end", "javascript": self.front_end.javascript, "css": self.front_end.css})
        elif kind == "fetch":
            given = _client_of(content), int(content["id"]), str(content["format"])
            # a file may take seconds; the thread is no daemon, since Python must wait for it at its exit
            Thread(target=contextvars.copy_context().run, args=(self._fetch, *given), name="simwidget file").start()

    def _fetch(self, client: str, number: int, kind: str) -> None:
        """Send a file in the format `kind` to the page `client`. If the file cannot be made, send the error message.

        `number` is the identifier of the page's request.
        """
        appearance = Appearance.of(self)
        models = [self.axes[position]["model"] for position in appearance.view]
        fetched, buffers = fetch(kind, self._source, appearance, models)
        fetched |= {"client": client, "id": number}
        self.send(fetched, buffers)


def _client_of(content: Mapping[str, Any]) -> str:
    """Return the identifier of the page that sent a message. Raise ValueError if this is not a short string."""
    client = content["client"]
    if not isinstance(client, str) or len(client) > MAX_CLIENT_LENGTH:
        raise ValueError("client is not a short string")
    return client
