"""Pictures of results with matplotlib. They take a result and an `ax`, and return the `ax`."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from simwidget.result import SimilarityResult, View

LABEL_POINTS = 7.0
LINE_POINTS = 8.5
"""The least distance of two tick labels."""


def heatmap(
    result: SimilarityResult,
    measure: str | None = None,
    *,
    view: View = "xy",
    ax: Any = None,
    title: str | None = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float = 1.0,
    colorbar: bool = True,
) -> Any:
    """One matrix: rows are the layers of the view's first model, from the top; columns those of its second.

    The colour limits are those given, 0 to 1 by default and -1 to 1 for a difference, never the data's; a colour bar
    with a pointed end says that values lie beyond. Cells without a number are hatched. As many layers are labelled as
    fit without overlapping.

    Args:
        result: what to draw.
        measure: one of the result's measures or differences; its first measure by default.
        view: as in `SimilarityResult.matrix`.
        ax: matplotlib Axes to draw on; a new figure by default.
        title, xlabel, ylabel: by default the measure with the number of samples, and the models' names.
        cmap: a matplotlib colour map; by default "magma", and "RdBu_r" for a difference.
        vmin, vmax: values at the ends of the colour map.
        colorbar: whether to add a colour bar.

    Returns:
        The Axes.
    """
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FixedLocator

    values = result.matrix(measure, view)
    difference = result.kind(measure) == "difference"
    cmap = cmap or ("RdBu_r" if difference else "magma")
    vmin = (-1.0 if difference else 0.0) if vmin is None else vmin
    model_x, model_y = (result.models[i] for i in result.positions(view))
    if ax is None:
        _, ax = plt.subplots(figsize=(7.6, 6.6), layout="constrained")
    ax.patch.set(facecolor="#e4e4e7", hatch="////", edgecolor="#a1a1aa", linewidth=0)
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=cmap, vmin=vmin, vmax=vmax, aspect="auto", interpolation="nearest"
    )
    ax.set(
        title=_title(result, measure) if title is None else title,
        xlabel=model_y if xlabel is None else xlabel,
        ylabel=model_x if ylabel is None else ylabel,
    )
    box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    for axis, names, inches in (
        (ax.xaxis, result.layers(model_y), box.width),
        (ax.yaxis, result.layers(model_x), box.height),
    ):
        shown = _fitting(len(names), inches * 72)
        axis.set_major_locator(FixedLocator(shown))
        axis.set_ticklabels([_plain(names[i]) for i in shown])
    ax.tick_params(axis="both", labelsize=LABEL_POINTS, length=2)
    ax.tick_params(axis="x", labelrotation=90)
    ax.spines[:].set_visible(False)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, fraction=0.046, pad=0.02, extend=_beyond(values, vmin, vmax))
    return ax


def _title(result: SimilarityResult, measure: str | None) -> str:
    partial = "" if result.complete else ", partial"
    return f"{result.title(measure)}, {result.n_samples:,} samples{partial}"


def _fitting(n: int, points: float) -> Sequence[int]:
    """Every k-th position, so that labels keep their distance; the first always."""
    return range(0, n, max(1, ceil(n * LINE_POINTS / max(points, LINE_POINTS))))


def _beyond(values: np.ndarray, vmin: float, vmax: float) -> str:
    with np.errstate(invalid="ignore"):
        below, above = bool((values < vmin - 1e-9).any()), bool((values > vmax + 1e-9).any())
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]


def _plain(name: str) -> str:
    """A layer's name as text: matplotlib would read dollar signs as mathematics."""
    return name.replace("$", r"\$")
