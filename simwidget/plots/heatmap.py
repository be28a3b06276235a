"""The function `heatmap`, which draws one matrix of a result with matplotlib."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.font_manager import FontProperties

from simwidget.plots.axis import LayerNames, available_size
from simwidget.plots.axis_layout import axis_nodes
from simwidget.plots.colours import colours_of
from simwidget.plots.figure_text import FigureText, escape_missing_glyphs
from simwidget.plots.marks import Outline, hatch_missing, hatch_unsettled
from simwidget.plots.shortening import wrap
from simwidget.result.layer_tree import Entry, LayerTree, paths_of
from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View
from simwidget.text.suggestions import did_you_mean

TITLE_FONT = FontProperties(size=10)
LABEL_FONT = FontProperties(size=9)
NO_MARKUP: dict[str, Any] = {"parse_math": False, "usetex": False}
"""Keyword arguments with which matplotlib shows a text literally, even if the text looks like a formula."""


def heatmap(
    result: SimilarityResult,
    measure: str | None = None,
    *,
    view: View = "xy",
    ax: Axes | None = None,
    stderr: bool = False,
    open_x: Collection[str] | None = None,
    open_y: Collection[str] | None = None,
    threshold: float | None = None,
    selection: tuple[str, str] | None = None,
    title: str | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    cmap: str | Colormap | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    log: bool = False,
    colorbar: bool = True,
) -> Axes:
    """Draw one matrix of a result as a heatmap.

    Rows, from the top, are the layers of the first model of `view`; columns are the layers of the second model. The
    colour limits never depend on the data: they are 0 to 1, or -1 to 1 for a difference, unless `vmin`, `vmax`, `log`
    or `stderr` is given. A pointed end of the colour bar means that some values lie beyond the limit at this end. Cells
    without a number are grey and hatched. Blocks (modules that contain several layers) are marked by brackets. Names
    are shown only where they fit; they are chosen again whenever the figure is drawn. In SVG and PDF files the cells,
    their hatching and the colours of the colour bar are embedded images; texts and lines are vector graphics.

    Args:
        result: the result that has the matrix.
        measure: the name of a measure ("cka") or of a difference ("cka-dcka"); by default the result's first measure.
        view: the two models, as in `SimilarityResult.matrix`.
        ax: the matplotlib Axes to draw on; by default those of a new figure.
        stderr: draw the standard errors instead of the values. The default colour limits are 0 and five times
            `threshold` (0.1 if no threshold is given).
        open_x, open_y: the names of the unfolded blocks of the row model and of the column model. A folded block is
            drawn as one row (column). If the block's own output is a layer of the result, the row has the values of
            this layer, otherwise those of the last layer in the block. By default all blocks are unfolded.
        threshold: hatch the cells whose standard error is unknown or above this number. With `stderr`, the threshold
            only sets the colour limits.
        selection: a layer of the row model and a layer of the column model; their cell is outlined.
        title: by default the measure and the number of samples, with notes if the result is partial, if the colours are
            not the defaults, or if `threshold` is given.
        xlabel, ylabel: by default the names of the models.
        cmap: a matplotlib colour map; by default "magma", or "RdBu_r" for a difference.
        vmin, vmax: the values at the two ends of the colour map.
        log: colour similarities s by log(1 - s), which spreads values close to 1.
        colorbar: whether to add a colour bar.

    Returns:
        The Axes.

    Raises:
        ValueError: a measure, model, block or layer is unknown; `vmin` is not below `vmax`; or `log` is combined with a
            difference, standard errors, `vmin` or `vmax`.
    """
    kind = result.kind(measure)
    colours = colours_of(kind, stderr=stderr, log=log, cmap=cmap, vmin=vmin, vmax=vmax, threshold=threshold)
    models = [result.models[i] for i in result.positions(view)]
    layers = (None, None) if selection is None else selection
    rows = _map_side(result, models[0], open_x, "open_x", layers[0])
    columns = _map_side(result, models[1], open_y, "open_y", layers[1])
    cells = np.ix_([entry.index for entry in rows.entries], [entry.index for entry in columns.entries])
    errors = result.stderr(measure, view)[cells]
    values = errors if stderr else result.matrix(measure, view)[cells]
    if ax is None:
        from matplotlib import pyplot as plt

        _, ax = plt.subplots(figsize=(7.6, 6.6), layout="constrained")

    ax.spines[:].set_visible(False)
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=colours.palette, norm=colours.norm, aspect="auto", interpolation="nearest"
    )
    hatch_missing(ax, np.isnan(values))
    if threshold is not None and not stderr:
        with np.errstate(invalid="ignore"):
            hatch_unsettled(ax, ~np.isnan(values) & ~(errors <= threshold), image.to_rgba(values))
    for axis, side in ((ax.yaxis, rows), (ax.xaxis, columns)):
        emphasized = [] if side.selected is None else [side.selected]
        LayerNames(axis, axis_nodes(side.tree, side.entries), emphasized)
    if rows.selected is not None and columns.selected is not None:
        Outline(ax, rows.selected, columns.selected)

    quantity = f"standard error of {result.title(measure)}" if stderr else result.title(measure)
    if title is None:
        partial = "" if result.complete else "partial"
        note = "" if threshold is None or stderr else f"hatched: ± over {threshold:g}"
        _set_title(ax, [[quantity, f"{result.n_samples:,} samples", partial, colours.note, note]], ", ")
    else:
        _set_title(ax, [line.split(" ") for line in title.split("\n")], " ")
    _set_axis_labels(ax, models[0] if ylabel is None else ylabel, models[1] if xlabel is None else xlabel)
    if colorbar:
        bar = ax.figure.colorbar(image, ax=ax, fraction=0.046, pad=0.02, aspect=30, extend=colours.extend(values))
        bar.set_label(escape_missing_glyphs(quantity, LABEL_FONT), fontproperties=LABEL_FONT, **NO_MARKUP)
        if colours.ticks:
            bar.set_ticks(colours.ticks, labels=[f"{tick:g}" for tick in colours.ticks])
            bar.minorticks_off()
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
    return ax


@dataclass(frozen=True)
class MapSide:
    """The rows or the columns of a heatmap: the tree of a model's layers, and one entry for each row or column.

    An entry is a layer or a folded block.
    """

    tree: LayerTree
    entries: list[Entry]
    selected: int | None
    """position in `entries` of the selected layer, or of the folded block that contains it; None without a selection"""


def _map_side(
    result: SimilarityResult, model: str, open_blocks: Collection[str] | None, option: str, layer: str | None
) -> MapSide:
    tree = LayerTree(result.layers(model))
    for block in open_blocks or ():
        if block not in tree.blocks:
            raise ValueError(f"{option}: {model!r} has no block {block!r}.{did_you_mean(block, tuple(tree.blocks))}")
    entries = tree.entries(tree.blocks if open_blocks is None else open_blocks)
    if layer is None:
        return MapSide(tree, entries, None)
    if layer not in tree.names:
        raise ValueError(f"selection: {model!r} has no layer {layer!r}.{did_you_mean(layer, tree.names)}")
    paths = paths_of(layer)  # a layer in a folded block is in the row of that block
    row = next(k for k, one in enumerate(entries) if tree.names[one.index] == layer or one.folded in paths)
    return MapSide(tree, entries, row)


def _set_title(ax: Any, lines: Sequence[Sequence[str]], separator: str) -> None:
    """Set the title of an Axes. Each line is given as pieces; a line that is too long is broken between two pieces."""
    figure_text, max_width = FigureText(ax.figure), 0.9 * available_size(ax)[0]

    def fits(line: str) -> bool:
        return figure_text.size(line, TITLE_FONT)[0] <= max_width

    text = "\n".join(
        escape_missing_glyphs(line, TITLE_FONT)
        for pieces in lines
        for line in wrap(list(filter(None, pieces)), separator, fits)
    )
    ax.set_title(text, fontproperties=TITLE_FONT, pad=8, **NO_MARKUP)


def _set_axis_labels(ax: Any, rows: str, columns: str) -> None:
    figure_text, (width, height) = FigureText(ax.figure), available_size(ax)
    for set_label, name, length in ((ax.set_ylabel, rows, height), (ax.set_xlabel, columns, width)):
        text = escape_missing_glyphs(figure_text.shorten(name, LABEL_FONT, 0.7 * length), LABEL_FONT)
        set_label(text, fontproperties=LABEL_FONT, **NO_MARKUP)
