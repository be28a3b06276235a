"""The heatmap as a Jupyter widget: what it shares with its pages, and what they may tell it. No torch here."""

import contextvars
import weakref
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View
from simwidget.widget import checks
from simwidget.widget.encoding import axes_of, encode_snapshot, info_of, measures_of
from simwidget.widget.files import FORMATS, MIMES, Look, file_name, file_of
from simwidget.widget.front_end import built
from simwidget.widget.protocol import Fetched, Selection
from simwidget.widget.publisher import Publisher
from simwidget.widget.sources import Source, Still, source_of
from simwidget.widget.still_output import StillOutput

if TYPE_CHECKING:
    from simwidget.run.comparison import Comparison

COMMANDS = ("start", "pause", "resume", "stop")


class SimilarityHeatmap(anywidget.AnyWidget):
    """An interactive heatmap of a run, live while it goes on, or of a result.

    Click a cell to hold its pair of layers; `selection` then names it, in every view and in Python. Colours run from 0
    to 1 whatever the data, unless `scale` says otherwise. Cells without a number are hatched and say why. What is shown
    travels as float32; what a notebook saves is off by less than 1e-4.

    Args:
        shown: a `Comparison` (not started by this; showing the comparison itself does that) or a `SimilarityResult`.
        measure: which of its measures or differences first.
        view: which pair of models first, as in `SimilarityResult.matrix`.
        frames_per_second: at most this many updates; there are fewer while a page is slow, or evaluating them would
            take more than 1.5 % of the run's time.

    Raises:
        TypeError: `shown` is something else.
        ValueError: an unknown measure, view, layer or scale.

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

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    run_id = traitlets.Unicode().tag(sync=True)
    axes: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """for each model its name and layers"""
    run = traitlets.Dict().tag(sync=True)
    """state, progress and notes"""
    snapshot = traitlets.Bytes().tag(sync=True)
    """all numbers, deflated; written now and then, when the run holds, and at its end"""
    snapshot_meta = traitlets.Dict().tag(sync=True)
    measure = traitlets.Unicode().tag(sync=True)
    view = traitlets.Tuple(traitlets.Int(), traitlets.Int()).tag(sync=True)
    """the positions of the two models that are shown"""
    shows = traitlets.Enum(("values", "errors"), "values").tag(sync=True)
    """what the map's colours are"""
    selection: traitlets.Dict = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    """the pair of layers that is held, by name: model_x, layer_x, model_y, layer_y"""
    pinned: "traitlets.List[Any]" = traitlets.List(traitlets.Dict()).tag(sync=True)
    """up to four pairs, each like `selection`, whose curves are compared"""
    open_x = traitlets.Dict().tag(sync=True)
    """model -> the blocks that stand open where it is the rows; others are open to about 25 rows"""
    open_y = traitlets.Dict().tag(sync=True)
    """the same where it is the columns"""
    scale = traitlets.Dict({"mode": "unit", "limits": {}, "palette": "magma"}).tag(sync=True)
    """how values become colours: `mode` is "unit" (0 to 1), "range" (frozen `limits` for each measure) or "log";
    `palette` is "magma", "viridis" or "cividis"; differences are always red and blue"""
    threshold = traitlets.Float(0.02).tag(sync=True)
    """cells with a larger standard error are hatched"""

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
        self._known = ([one["name"] for one in measures_of(result)], len(result.models))
        pair = result.positions(view)
        snapshot, meta = encode_snapshot(result, self._publisher.run_id, 0, pair)
        super().__init__(
            _esm=built("heatmap.js"),
            _css=built("heatmap.css"),
            run_id=self._publisher.run_id,
            axes=axes_of(result),
            run=info_of(self._source.progress, list(result.notes)),
            snapshot=snapshot,
            snapshot_meta=meta,
            measure=measure,
            view=pair,
        )
        self.on_msg(self._hear)
        self.observe(lambda _: self._publisher.ask(), ["measure", "view"])
        self.observe(lambda change: self._publisher.ask_detail(change["new"]), "selection")
        self.observe(self._ask_pinned, "pinned")

    def __repr__(self) -> str:
        return f"<SimilarityHeatmap {self.measure} of {' × '.join(axis['model'] for axis in self.axes)}>"

    # --- what people call --------------------------------------------------------------------------------------------

    @property
    def source(self) -> Source:
        """The `Comparison` that is shown, or a still of a result."""
        return self._source

    @property
    def _source(self) -> Source:
        source = self._shown()
        if source is None:
            raise RuntimeError("this heatmap is closed, and the comparison that it showed is gone")
        return source

    @property
    def result(self) -> SimilarityResult:
        """The result of this moment."""
        return self._source.snapshot()

    def show(self, result: SimilarityResult) -> None:
        """Show another result, or a later moment of the same one, in every view of this widget."""
        if not isinstance(self._source, Still):
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
            self._source.replace(result)
            if state or axes_of(result) != self.axes or not self._publisher.running:
                snapshot, meta = encode_snapshot(result, self.run_id, self._publisher.seq, self.view)
                self.write(axes=axes_of(result), snapshot=snapshot, snapshot_meta=meta, **state)

    def select(self, layer_x: str | None, layer_y: str | None = None) -> None:
        """Hold the pair of a layer of the view's first model and one of its second; None for no pair."""
        if layer_x is None or layer_y is None:
            self.selection = None  # type: ignore[assignment]
            return
        x, y = (self.axes[i] for i in self.view)
        self.selection = {"model_x": x["model"], "layer_x": layer_x, "model_y": y["model"], "layer_y": layer_y}

    def export(self, path: str | PathLike[str], *, dpi: float = 200, figsize: tuple[float, float] = (7.6, 6.6)) -> None:
        """Write what is shown to a file; its ending says what kind.

        Args:
            path: ".png", ".svg" or ".pdf" for a picture of the map, drawn by matplotlib as the traits say; ".csv" for
                every number of the two models with its error; ".simw" for the result, see `SimilarityResult.load`;
                ".html" for a page of its own that opens like this heatmap.
            dpi: dots an inch of a picture; of a vector one those of the cells.
            figsize: width and height of a picture in inches.

        Raises:
            ValueError: another ending.
        """
        ending = Path(path).suffix
        if ending[1:].lower() not in FORMATS:
            raise ValueError(f"{Path(path).name!r}: a heatmap is exported to .{', .'.join(FORMATS)}")
        Path(path).write_bytes(file_of(ending[1:].lower(), self._source, Look.of(self), dpi=dpi, figsize=figsize))

    def close(self) -> None:
        """Take the widget out of every page and let the comparison go.

        A run goes on. The heatmap still knows the comparison while others hold it, but holds nothing of it any more.
        """
        if hasattr(self, "_publisher"):
            self._publisher.close()
            self._still.close()
            source = self._shown()
            if source is not None and not isinstance(source, Still):
                self._shown = weakref.ref(source)
        super().close()

    def _ipython_display_(self, **options: Any) -> None:
        """Two outputs: the live view, and a still one that a notebook shows without a kernel."""
        from IPython.display import display

        data, metadata = self._repr_mimebundle_(**options)  # type: ignore[misc]
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        self.accompany()

    def accompany(self) -> None:
        """Put the still output below this cell's, for a heatmap that is shown inside another widget."""
        self._still.show(self._source.snapshot())
        self._publisher.begin()

    # --- one lock around everything that goes to a page or comes from one --------------------------------------------

    def write(self, **state: Any) -> None:
        """Set synced traits, in one message."""
        with self._lock, self.hold_sync():
            for name, value in state.items():
                setattr(self, name, value)

    def keep(self, result: SimilarityResult) -> None:
        """Put the result into the output that needs no kernel."""
        self._still.update(result)

    def _send(self, msg: Any, buffers: Any = None) -> None:
        with self._lock:
            super()._send(msg, buffers=buffers)

    def send_state(self, key: Any = None) -> None:
        with self._lock:
            super().send_state(key)

    def set_state(self, sync_data: Any) -> None:
        with self._lock:
            super().set_state(sync_data)

    def open(self) -> None:
        """Open the channel to the pages, so that their messages are heard while a cell runs."""
        super().open()
        # ipykernel 7.4 sends answers to the subshell that spoke last, which may be the main one, busy with a cell
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default

    def _hear(self, _: Any, content: Any, buffers: Any) -> None:
        """A message from a page: set flags, nothing that takes long."""
        kind = content.get("type") if isinstance(content, dict) else None
        if kind == "ready":
            self._publisher.ready(str(content["client"]), str(content["run_id"]), int(content["have_seq"]))
        elif kind == "ack":
            self._publisher.acknowledge(str(content["client"]), int(content["seq"]), bool(content["hidden"]))
        elif kind == "need" and content.get("what") == "frame":
            self._publisher.ask()
        elif kind == "need":
            self._publisher.ask_detail(content.get("pair"))
        elif kind == "command":
            self.send({"type": "reply", "id": content.get("id"), "error": self._obey(str(content.get("name")))})
        elif kind == "fetch":
            given = str(content["client"]), int(content["id"]), str(content["format"])
            # a file may take seconds; Python waits for this thread at its end, since it may be inside torch
            Thread(target=contextvars.copy_context().run, args=(self._fetch, *given), name="simwidget file").start()

    def _ask_pinned(self, change: Any) -> None:
        for pair in change["new"]:
            self._publisher.ask_detail(pair)

    def _obey(self, name: str) -> str | None:
        """Steer the run; what went wrong, if something did."""
        if name not in COMMANDS or not hasattr(self._source, name):
            return f"this heatmap cannot {name}"
        try:
            getattr(self._source, name)()
        except Exception as error:  # a page must hear of it
            return str(error)
        return None

    def _fetch(self, client: str, number: int, kind: str) -> None:
        """Send a file to a page, or say why there is none."""
        fetched: Fetched = {"type": "fetched", "client": client, "id": number, "name": "", "mime": "", "error": None}
        buffers: list[bytes] = []
        try:
            if kind not in MIMES:
                raise ValueError(f"this heatmap sends no {kind!r} files")
            look = Look.of(self)
            models = [self.axes[position]["model"] for position in look.view]
            buffers = [file_of(kind, self._source, look)]
            fetched |= {"name": file_name(models, kind), "mime": MIMES[kind]}
        except Exception as error:  # a page must hear of it
            fetched["error"] = str(error) or type(error).__name__
        self.send(fetched, buffers)

    # --- what may be set ---------------------------------------------------------------------------------------------

    @traitlets.validate("measure")
    def _check_measure(self, proposal: Any) -> str:
        return checks.check_measure(proposal["value"], self._known[0])

    @traitlets.validate("view")
    def _check_view(self, proposal: Any) -> tuple[int, int]:
        still = self._source.snapshot() if isinstance(self._source, Still) else None
        return checks.check_view(proposal["value"], self._known[1], still)

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Any) -> Selection | None:
        return None if proposal["value"] is None else checks.check_pair("selection", proposal["value"], self.axes)

    @traitlets.validate("pinned")
    def _check_pinned(self, proposal: Any) -> list[Selection]:
        return checks.check_pinned(proposal["value"], self.axes)

    @traitlets.validate("scale")
    def _check_scale(self, proposal: Any) -> dict[str, Any]:
        return checks.check_scale(proposal["value"])

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: Any) -> float:
        return checks.check_threshold(proposal["value"])
