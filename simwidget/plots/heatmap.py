"""One matrix of a result as a map."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.font_manager import FontProperties

from simwidget.plots.axis import LayerNames, room_of
from simwidget.plots.colours import colours_of
from simwidget.plots.layout import units_of
from simwidget.plots.marks import Outline, hatch_missing, hatch_unsettled
from simwidget.plots.pen import Pen, drawable
from simwidget.plots.text import wrapped
from simwidget.result.layer_tree import Entry, LayerTree, paths_of
from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View
from simwidget.text.suggestions import did_you_mean

TITLE = FontProperties(size=10)
MODEL = FontProperties(size=9)
AS_IT_IS: dict[str, Any] = {"parse_math": False, "usetex": False}
"""Names are no formulas, whatever is in them."""


def heatmap(
    result: SimilarityResult,
    measure: str | None = None,
    *,
    view: View = "xy",
    ax: Any = None,
    stderr: bool = False,
    open_x: Collection[str] | None = None,
    open_y: Collection[str] | None = None,
    threshold: float | None = None,
    selection: tuple[str, str] | None = None,
    title: str | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    cmap: Any = None,
    vmin: float | None = None,
    vmax: float | None = None,
    log: bool = False,
    colorbar: bool = True,
) -> Any:
    """One matrix: rows are the layers of the view's first model, from the top; columns those of its second.

    The colour limits are those given, 0 to 1 by default and -1 to 1 for a difference, never the data's; a colour bar
    with a pointed end says that values lie beyond. Cells without a number are grey and hatched. Blocks of layers have
    brackets; blocks and layers are named as far as the names fit, at whatever size the figure is drawn. Saved as SVG
    or PDF, the cells are a picture and everything else is lines and letters.

    Args:
        result: what to draw.
        measure: one of the result's measures or differences; its first measure by default.
        view: as in `SimilarityResult.matrix`.
        ax: matplotlib Axes to draw on; a new figure by default.
        stderr: draw the standard errors instead of the values, from 0 to five times the threshold, 0.1 by default.
        open_x, open_y: the blocks of the rows' and of the columns' model that stand open; a folded one is one row, its
            own output's, else its last layer's. By default every layer is drawn.
        threshold: hatch the values whose standard error is larger, or not known yet.
        selection: a layer of the rows and one of the columns; their cell is outlined.
        title, xlabel, ylabel: by default the measure with the number of samples and what is unusual about the colours,
            and the models' names.
        cmap: a matplotlib colour map; by default "magma", and "RdBu_r" for a difference.
        vmin, vmax: values at the ends of the colour map.
        log: colours by log(1 - s), which spreads similarities close to 1.
        colorbar: whether to add a colour bar.

    Returns:
        The Axes.

    Raises:
        ValueError: an unknown measure, model, block or layer, or colours that make no sense.
    """
    kind = result.kind(measure)
    colours = colours_of(kind, stderr=stderr, log=log, cmap=cmap, vmin=vmin, vmax=vmax, threshold=threshold)
    models = [result.models[i] for i in result.positions(view)]
    layers = (None, None) if selection is None else selection
    rows = _side(result, models[0], open_x, "open_x", layers[0])
    columns = _side(result, models[1], open_y, "open_y", layers[1])
    cells = np.ix_([entry.index for entry in rows.entries], [entry.index for entry in columns.entries])
    errors = result.stderr(measure, view)[cells]
    drawn = errors if stderr else result.matrix(measure, view)[cells]
    if ax is None:
        from matplotlib import pyplot as plt

        _, ax = plt.subplots(figsize=(7.6, 6.6), layout="constrained")

    ax.spines[:].set_visible(False)
    image = ax.imshow(
        np.ma.masked_invalid(drawn), cmap=colours.palette, norm=colours.norm, aspect="auto", interpolation="nearest"
    )
    hatch_missing(ax, np.isnan(drawn))
    if threshold is not None and not stderr:
        with np.errstate(invalid="ignore"):
            hatch_unsettled(ax, ~np.isnan(drawn) & ~(errors <= threshold), image.to_rgba(drawn))
    for axis, side in ((ax.yaxis, rows), (ax.xaxis, columns)):
        LayerNames(axis, units_of(side.tree, side.entries), strong=[] if side.held is None else [side.held])
    if rows.held is not None and columns.held is not None:
        Outline(ax, rows.held, columns.held)

    what = f"standard error of {result.title(measure)}" if stderr else result.title(measure)
    if title is None:
        partial = "" if result.complete else "partial"
        note = "" if threshold is None or stderr else f"hatched: ± over {threshold:g}"
        _name(ax, [[what, f"{result.n_samples:,} samples", partial, colours.note, note]], ", ")
    else:
        _name(ax, [line.split(" ") for line in title.split("\n")], " ")
    _name_models(ax, models[0] if ylabel is None else ylabel, models[1] if xlabel is None else xlabel)
    if colorbar:
        bar = ax.figure.colorbar(image, ax=ax, fraction=0.046, pad=0.02, aspect=30, extend=colours.beyond(drawn))
        bar.set_label(drawable(what, MODEL), fontproperties=MODEL, **AS_IT_IS)
        if colours.ticks:
            bar.set_ticks(colours.ticks, labels=[f"{tick:g}" for tick in colours.ticks])
            bar.minorticks_off()
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
    return ax


@dataclass(frozen=True)
class Side:
    """The rows or the columns."""

    tree: LayerTree
    entries: list[Entry]
    held: int | None
    """which of them is outlined"""


def _side(
    result: SimilarityResult, model: str, open_blocks: Collection[str] | None, option: str, layer: str | None
) -> Side:
    tree = LayerTree(result.layers(model))
    for block in open_blocks or ():
        if block not in tree.blocks:
            raise ValueError(f"{option}: {model!r} has no block {block!r}.{did_you_mean(block, tuple(tree.blocks))}")
    entries = tree.entries(tree.blocks if open_blocks is None else open_blocks)
    if layer is None:
        return Side(tree, entries, None)
    if layer not in tree.names:
        raise ValueError(f"selection: {model!r} has no layer {layer!r}.{did_you_mean(layer, tree.names)}")
    paths = paths_of(layer)  # a layer that is folded away stands in its block's row
    here = next(k for k, one in enumerate(entries) if tree.names[one.index] == layer or one.folded in paths)
    return Side(tree, entries, here)


def _name(ax: Any, lines: Sequence[Sequence[str]], between: str) -> None:
    """Put the title over the map: lines of pieces, and more lines where they are too long."""
    pen, room = Pen(ax.figure), 0.9 * room_of(ax)[0]
    text = "\n".join(
        drawable(line, TITLE)
        for pieces in lines
        for line in wrapped(list(filter(None, pieces)), between, lambda part: pen.size(part, TITLE)[0] <= room)
    )
    ax.set_title(text, fontproperties=TITLE, pad=8, **AS_IT_IS)


def _name_models(ax: Any, rows: str, columns: str) -> None:
    pen, (wide, high) = Pen(ax.figure), room_of(ax)
    for put, name, room in ((ax.set_ylabel, rows, high), (ax.set_xlabel, columns, wide)):
        put(drawable(pen.cut(name, MODEL, 0.7 * room), MODEL), fontproperties=MODEL, **AS_IT_IS)
