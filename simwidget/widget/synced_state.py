"""`SyncedState`: the synced traits of a heatmap, the checks of their values, and a lock that guards synchronisation."""

from threading import RLock
from typing import Any

import anywidget
import ipywidgets
import traitlets

from simwidget.widget import trait_checks
from simwidget.widget.front_end import FrontEnd, built
from simwidget.widget.protocol import Selection
from simwidget.widget.sources import Source, StaticSource


class SyncedState(anywidget.AnyWidget):
    """The traits that a heatmap shares with the browser pages that show it.

    A page may set the traits in `trait_checks.FROM_PAGES` to valid values. Any other change by a page is refused, and
    the page is sent the present value. Values that Python code sets are checked in the same way. `write` sets several
    traits and sends them in one message.
    """

    _esm = traitlets.Unicode().tag(sync=True)

    front_end = traitlets.Instance(FrontEnd).tag(sync=True, **ipywidgets.widget_serialization)
    """the widget that holds the JavaScript and CSS of all heatmaps; `_esm` is a short program that loads both"""

    run_id = traitlets.Unicode().tag(sync=True)
    axes: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """for each model an `Axis`: the model's name, its layers in execution order, and the class name of each
    layer's module"""
    run = traitlets.Dict().tag(sync=True)
    """state, progress and notes of the run, as `RunInfo`"""
    snapshot = traitlets.Bytes().tag(sync=True)
    """the numbers of all measures, compressed by zlib; written about every ten seconds during a run, when the run is
    paused, and when it ends"""
    snapshot_meta = traitlets.Dict().tag(sync=True)
    measure = traitlets.Unicode().tag(sync=True)
    view = traitlets.Tuple(traitlets.Int(), traitlets.Int()).tag(sync=True)
    """positions of the two models that are shown, first on the rows and second on the columns"""
    shows = traitlets.Enum(("values", "errors"), "values").tag(sync=True)
    """whether the colours show the values or their standard errors"""
    selection: traitlets.Dict = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    """the selected pair of layers, by name: model_x, layer_x, model_y, layer_y"""
    pinned: "traitlets.List[Any]" = traitlets.List(traitlets.Dict()).tag(sync=True)
    """up to four pairs of layers whose curves are compared; each pair is a dict as in `selection`"""
    open_x = traitlets.Dict().tag(sync=True)
    """for each model the paths of the blocks (groups of layers) that are unfolded when the model is on the rows. If a
    model has no entry, its blocks are folded so that it has at most 25 rows where possible."""
    open_y = traitlets.Dict().tag(sync=True)
    """for each model the paths of the blocks (groups of layers) that are unfolded when the model is on the columns. If
    a model has no entry, its blocks are folded so that it has at most 25 columns where possible."""
    scale = traitlets.Dict({"mode": "unit", "limits": {}, "palette": "magma"}).tag(sync=True)
    """How values become colours. `mode` is "unit" (fixed colour limits), "range" (for each measure the colour limits in
    `limits`) or "log" (a similarity s is coloured by log(1 - s)); see `protocol.Scale`. `palette` is "magma", "viridis"
    or "cividis". Values of differences are red and blue, whatever the palette."""
    threshold = traitlets.Float(0.02).tag(sync=True)
    """standard error above which cells are hatched"""

    _lock: "RLock"
    """lock that is held while trait values or messages are sent or received, since ipywidgets is not thread-safe"""
    _known: tuple[list[str], int]
    """the names of the measures and differences, and the number of models"""

    @property
    def _source(self) -> Source:
        """The run or fixed result that provides the numbers. Subclasses must implement this property."""
        raise NotImplementedError

    # --- one lock around everything that goes to a page or comes from one --------------------------------------------

    def write(self, **state: Any) -> None:
        """Set synced traits, given by name, and send all changes to the pages in one message."""
        with self._lock, self.hold_sync():
            for name, value in state.items():
                setattr(self, name, value)

    def _send(self, msg: Any, buffers: Any = None) -> None:
        with self._lock:
            super()._send(msg, buffers=buffers)

    def send_state(self, key: Any = None) -> None:
        with self._lock:
            super().send_state(key)

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Return the values of all synced traits, or of the traits named by `key`.

        `drop_defaults` is ignored. Default values are always included, because an exported HTML page does not know the
        defaults.
        """
        return super().get_state(key=key)  # type: ignore[no-any-return]

    def set_state(self, sync_data: Any) -> None:
        """Set traits to the values that a page sent. A refused value is ignored, and the present value is sent back.

        A value is refused if it is invalid, or if pages may not set the trait.
        """
        if not isinstance(sync_data, dict):
            return
        with self._lock:
            known = {name: value for name, value in sync_data.items() if name in self.keys}
            refused = [name for name, value in known.items() if not self._accepts(name, value)]
            # pages wait for the echo of what they set: theirs has the true value, and so no page shows another one
            super().set_state(known | self.get_state(refused))
            if refused:
                self.send_state(refused)

    def _accepts(self, name: str, value: Any) -> bool:
        """Whether a page may set the trait `name` to `value`."""
        if isinstance(value, bool):  # which traitlets takes for a number
            return False
        try:
            self.traits()[name]._validate(self, value)
        except (traitlets.TraitError, OverflowError):  # a whole number may be too large for a float
            return False
        return name in trait_checks.FROM_PAGES

    def open(self) -> None:
        """Open the comm, Jupyter's message channel to the pages.

        The comm is set up so that messages from pages can be handled while a cell runs.
        """
        with FrontEnd.held() as self.front_end:
            super().open()
        # ipykernel 7.4 routes messages to the subshell that sent last, which may be the main one, busy with a cell
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default

    @traitlets.default("_esm")
    def _loader(self) -> str:
        return built("loader.js")

    # --- what may be set ---------------------------------------------------------------------------------------------

    @traitlets.validate("measure")
    def _check_measure(self, proposal: Any) -> str:
        return trait_checks.check_measure(proposal["value"], self._known[0])

    @traitlets.validate("view")
    def _check_view(self, proposal: Any) -> tuple[int, int]:
        still = self._source.snapshot() if isinstance(self._source, StaticSource) else None
        return trait_checks.check_view(proposal["value"], self._known[1], still)

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Any) -> Selection | None:
        return None if proposal["value"] is None else trait_checks.check_pair("selection", proposal["value"], self.axes)

    @traitlets.validate("pinned")
    def _check_pinned(self, proposal: Any) -> list[Selection]:
        return trait_checks.check_pinned(proposal["value"], self.axes)

    @traitlets.validate("open_x", "open_y")
    def _check_open(self, proposal: Any) -> dict[str, list[str]]:
        return trait_checks.check_open(proposal["trait"].name, proposal["value"], self.axes)

    @traitlets.validate("scale")
    def _check_scale(self, proposal: Any) -> dict[str, Any]:
        return trait_checks.check_scale(proposal["value"], self._known[0])

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: Any) -> float:
        return trait_checks.check_threshold(proposal["value"])
