"""`SimilarityExplorer`: a widget with a heatmap, two text boxes for layer names, and room for other widgets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from simwidget.result.similarity_result import SimilarityResult
from simwidget.widget.heatmap import SimilarityHeatmap
from simwidget.widget.shown_cells import ShownCells, close_layout

if TYPE_CHECKING:
    from simwidget.run.comparison import Comparison


class SimilarityExplorer(ipywidgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """A heatmap with two text boxes above it and other widgets beside it, in an ipywidgets layout.

    The text boxes show the names of the two selected layers. Typing layer names into the text boxes selects these
    layers. The attribute `heatmap` is the `SimilarityHeatmap`, `layer_x` and `layer_y` are the text boxes, and `beside`
    is the box for other widgets.

    Args:
        shown: a `Comparison` or a `SimilarityResult`.
        beside: widgets to show to the right of the heatmap, or below it on a narrow page.
        options: keyword arguments of `SimilarityHeatmap`.

    >>> import simwidget as sw
    >>> models, loader, _ = sw.demo.load()
    >>> result = sw.compare(models, loader, layers=["stage?"], max_batches=2).run(progress=False)
    >>> explorer = sw.SimilarityExplorer(result)
    >>> explorer.layer_x.value, explorer.layer_y.value = "stage1", "stage3"
    >>> explorer.heatmap.selection["layer_y"]
    'stage3'
    >>> explorer.close()
    """

    _parts: tuple[ipywidgets.Widget, ...] = ()

    def __init__(
        self,
        shown: "Comparison | SimilarityResult",
        beside: Sequence[ipywidgets.Widget] = (),
        **options: Any,
    ) -> None:
        self.heatmap = SimilarityHeatmap(shown, **options)
        wide = ipywidgets.Layout(width="auto", flex="1 1 220px")
        box = {"ensure_option": True, "continuous_update": False, "placeholder": "layer", "layout": wide}
        self.layer_x = ipywidgets.Combobox(**box)
        self.layer_y = ipywidgets.Combobox(**box)
        search = ipywidgets.HBox([self.layer_x, self.layer_y], layout=ipywidgets.Layout(width="100%"))
        flex = ipywidgets.Layout(flex="3 1 640px", min_width="0", max_width="964px")
        side = ipywidgets.Layout(flex="1 1 300px", min_width="0")
        self.beside = ipywidgets.VBox(list(beside), layout=side)
        main = ipywidgets.VBox([search, self.heatmap], layout=flex)
        self._parts = (self.layer_x, self.layer_y, search, main, self.beside)
        super().__init__([main, self.beside], layout=ipywidgets.Layout(flex_flow="row wrap", width="100%"))
        self._cells = ShownCells(self.heatmap._lock, self._on_page)
        self._offer()
        self.heatmap.observe(self._offer, ["axes", "view"])
        self.heatmap.observe(self._show_selection, "selection")
        self.layer_x.observe(self._select, "value")
        self.layer_y.observe(self._select, "value")

    def _offer(self, _: Any = None) -> None:
        """Make `layer_x` suggest the layers of the view's first model, and `layer_y` those of its second model.

        Each text box is labelled with the name of its model. When the suggestions of a text box change, its text is
        cleared if it is not among the new suggestions.
        """
        for box, position in zip((self.layer_x, self.layer_y), self.heatmap.view, strict=True):
            axis = self.heatmap.axes[position]
            if box.options != tuple(axis["layers"]):
                if box.value not in axis["layers"]:
                    box.value = ""
                box.options = tuple(axis["layers"])
            box.description = axis["model"]

    def _show_selection(self, change: Any) -> None:
        """Write the names of the newly selected layers into the text boxes.

        Do nothing if the models of these layers are not the view's first and second model, in this order.
        """
        pair = change["new"]
        models = [self.heatmap.axes[position]["model"] for position in self.heatmap.view]
        if pair is not None and [pair["model_x"], pair["model_y"]] == models:
            self.layer_x.value, self.layer_y.value = pair["layer_x"], pair["layer_y"]

    def _select(self, _: Any) -> None:
        """Select the pair of layers whose names are in the text boxes, once both boxes are filled."""
        x, y = self.layer_x.value, self.layer_y.value
        held = self.heatmap.selection
        if x and y and (held is None or (held["layer_x"], held["layer_y"]) != (x, y)):
            self.heatmap.select(x, y)

    def close(self) -> None:
        """Close the explorer, its heatmap and its text boxes, which removes them from every page.

        The widgets in `beside` are not closed. If the heatmap shows a run, the run continues.
        """
        if hasattr(self, "heatmap"):
            self._cells.close()
            self.heatmap.close()
            # ipywidgets keeps open widgets alive, and the text boxes refer to this explorer, which observes them
            for part in self._parts:
                part.close()
                close_layout(part)
        super().close()
        close_layout(self)

    def _on_page(self) -> list[ipywidgets.DOMWidget]:
        """Return the explorer, its parts (containers before their contents), and usually the heatmap.

        The heatmap is left out if a cell may show the heatmap without the explorer.
        """
        return [self, *reversed(self._parts), *([] if self.heatmap._cells.any else [self.heatmap])]

    def _ipython_display_(self, **options: Any) -> None:
        from IPython.display import display

        self._cells.add()
        display(self._repr_mimebundle_(**options), raw=True)  # type: ignore[no-untyped-call]
        self.heatmap.show_still_output()
