"""Live bqplot figures about the selected pair of layers of a `SimilarityHeatmap`, for your own dashboards.

Each public function returns a `bqplot.Figure`. The figure is updated whenever the heatmap's selection, its measure or
the state of its run changes, but at most twice a second. Updates end when the heatmap is closed. bqplot is an optional
dependency: `pip install 'simwidget[charts]'`. This module does not import torch.
"""

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simwidget.widget import SimilarityHeatmap
from simwidget.widget.sources import StaticSource

LOG = logging.getLogger("simwidget")
UPDATE_SECONDS = 0.5
"""Least number of seconds between two updates of a figure."""
COLOURS = ("#1664c0", "#d9480f")
MAX_EIGENVALUES = 50


def convergence(widget: SimilarityHeatmap, **options: Any) -> Any:
    """Return a live line chart of the measures of the selected pair of layers against the number of batches.

    There is one line for each measure. A band around the line extends one standard error to either side.

    Args:
        widget: the heatmap whose `selection` is shown.
        options: keyword arguments of `bqplot.Figure`.

    >>> import simwidget as sw
    >>> models, loader, _ = sw.demo.load()
    >>> comparison = sw.compare(models, loader, layers=["stage?"])
    >>> widget = sw.SimilarityHeatmap(comparison)
    >>> figure = sw.charts.convergence(widget)
    >>> _ = comparison.run(progress=False)
    >>> widget.select("stage1", "stage2")
    >>> figure.marks[-2].labels, len(figure.marks[-2].x)
    (['CKA'], 16)
    >>> widget.close()
    """
    bq = _bqplot()
    titles = [one for one in widget.snapshot_meta["measures"] if one["kind"] != "difference"]
    scales = {"x": bq.LinearScale(), "y": bq.LinearScale(max=1.0)}
    lines, bands = [], []
    for info, colour in zip(titles, _colours(len(titles)), strict=True):
        lines.append(_line(bq, scales, colour, info["title"]))
        bands.append(
            bq.Lines(
                x=np.zeros(1),
                y=np.zeros((2, 1)),
                visible=False,
                scales=scales,
                colors=[colour] * 2,
                opacities=[0.0, 0.0],
                fill="between",
                fill_colors=[colour],
                fill_opacities=[0.18],
            )
        )

    def update() -> str:
        pair = widget.selection
        curves: Mapping[str, Any] = {}
        if pair is not None:
            view = (pair["model_x"], pair["model_y"])
            curves = widget.source.convergence(pair["layer_x"], pair["layer_y"], view)
        for info, line, band in zip(titles, lines, bands, strict=True):
            curve = curves.get(info["name"])
            if curve is None:
                line.visible = band.visible = False
                continue
            _set_points(line, curve.n_batches, curve.values)
            errors = np.nan_to_num(curve.stderr)
            _set_points(band, curve.n_batches, np.stack([curve.values - errors, curve.values + errors]))
        return "" if pair is None else f"{pair['layer_x']} × {pair['layer_y']}"

    axes = _axes(bq, scales, "batch", "value ± standard error")
    return _follow(widget, bq.Figure(marks=[*bands, *lines], axes=axes, **_style(options)), update)


def profile(widget: SimilarityHeatmap, **options: Any) -> Any:
    """Return a live line chart with the row and the column of the heatmap that cross in the selected cell.

    The first line shows the values of the row's layer with all layers of the column model. The second line shows the
    values of the column's layer with all layers of the row model. The horizontal axis is the position of a layer in
    execution order.

    Args:
        widget: the heatmap whose `selection` and `measure` are shown.
        options: keyword arguments of `bqplot.Figure`.
    """
    bq = _bqplot()
    scales = {"x": bq.LinearScale(), "y": bq.LinearScale()}
    row, column = (_line(bq, scales, colour, "") for colour in COLOURS)

    def update() -> str:
        pair = widget.selection
        if pair is None:
            row.visible = column.visible = False
            return ""
        models = [axis["model"] for axis in widget.axes]
        x, y = models.index(pair["model_x"]), models.index(pair["model_y"])
        result = widget.source.snapshot([widget.measure], [(min(x, y), max(x, y))])
        matrix = result.matrix(widget.measure, (pair["model_x"], pair["model_y"]))
        i = result.layers(pair["model_x"]).index(pair["layer_x"])
        j = result.layers(pair["model_y"]).index(pair["layer_y"])
        _set_points(row, np.arange(matrix.shape[1]), matrix[i])
        _set_points(column, np.arange(matrix.shape[0]), matrix[:, j])
        row.labels = [f"{pair['layer_x']} of {pair['model_x']}"]
        column.labels = [f"{pair['layer_y']} of {pair['model_y']}"]
        return result.title(widget.measure)

    axes = _axes(bq, scales, "layer, in execution order", "value")
    figure = bq.Figure(marks=[row, column], axes=axes, **_style(options, "bottom-left"))
    return _follow(widget, figure, update)


def spectrum(widget: SimilarityHeatmap, **options: Any) -> Any:
    r"""Return a live line chart of the eigenvalues of the two selected layers' centred Gram matrices.

    The Gram matrices are computed from the latest batch or, if batches are small, from several joined batches. The
    largest 50 eigenvalues of each matrix are shown, divided by the sum of all eigenvalues of the matrix. The title
    gives the effective dimension of each layer: the participation ratio :math:`(\sum \lambda)^2 / \sum \lambda^2` of
    the eigenvalues :math:`\lambda`.

    Args:
        widget: a heatmap that shows a `Comparison`. For a heatmap of a `SimilarityResult`, which has no Gram matrices,
            the figure stays empty.
        options: keyword arguments of `bqplot.Figure`.
    """
    bq = _bqplot()
    scales = {"x": bq.LinearScale(), "y": bq.LinearScale(min=0.0)}
    lines = [_line(bq, scales, colour, "") for colour in COLOURS]

    def update() -> str:
        pair, inspection = widget.selection, None
        if pair is not None:
            inspection = widget.source.inspect(pair["layer_x"], pair["layer_y"], (pair["model_x"], pair["model_y"]))
        if pair is None or inspection is None:
            for line in lines:
                line.visible = False
            return "a result has no Gram matrices" if isinstance(widget.source, StaticSource) else ""
        for line, side, spectrum in zip(lines, "xy", (inspection.spectrum_x, inspection.spectrum_y), strict=True):
            eigenvalues = spectrum[:MAX_EIGENVALUES]
            _set_points(line, np.arange(1, len(eigenvalues) + 1), eigenvalues)
            line.labels = [f"{pair[f'layer_{side}']} of {pair[f'model_{side}']}"]
        sizes = (
            "n/a" if np.isnan(size) else f"{size:.1f}" for size in (inspection.dimension_x, inspection.dimension_y)
        )
        return f"effective dimension {' / '.join(sizes)}"

    axes = _axes(bq, scales, "eigenvalue", "share of the variance")
    figure = bq.Figure(marks=lines, axes=axes, **_style(options, "top-right"))
    return _follow(widget, figure, update)


class _ChartUpdate:
    """A callback for changes of a heatmap, which calls `update` at most once every `UPDATE_SECONDS` seconds.

    If a change comes too early, a timer delays the update; therefore no change is missed. Two calls of `update` never
    run at the same time.
    """

    def __init__(self, update: Callable[[], None]) -> None:
        self._update = update
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._last = -float("inf")

    def __call__(self, _: Any = None) -> None:
        with self._lock:
            wait = self._last + UPDATE_SECONDS - time.monotonic()
            if wait <= 0:
                self._now()
            elif self._timer is None:
                run = contextvars.copy_context().run
                self._timer = threading.Timer(wait, run, args=(self._now,))
                self._timer.daemon = True
                self._timer.start()

    def _now(self) -> None:
        with self._lock:
            self._timer = None
            try:
                self._update()
            except Exception:  # a chart must not end the run's updates
                LOG.exception("a chart could not be updated")
            self._last = time.monotonic()

    def stop(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()


def _follow(widget: SimilarityHeatmap, figure: Any, update: Callable[[], str]) -> Any:
    """Update the figure now and, until the heatmap is closed, after changes of the heatmap; return the figure.

    `update` sets the lines of the figure and returns the title of the figure.
    """

    def update_figure() -> None:
        figure.title = update()

    updates = _ChartUpdate(update_figure)
    traits = ["selection", "measure", "run"]
    widget.observe(updates, traits)

    def on_close(change: Any) -> None:
        if change["new"] is None:
            widget.unobserve(updates, traits)
            updates.stop()

    widget.observe(on_close, "comm")
    update_figure()
    return figure


def _bqplot() -> Any:
    try:
        import bqplot
    except ImportError as missing:
        raise ImportError("simwidget.charts needs bqplot: pip install 'simwidget[charts]'") from missing
    return bqplot


def _line(bq: Any, scales: dict[str, Any], colour: str, label: str) -> Any:
    return bq.Lines(
        x=np.zeros(1),
        y=np.zeros(1),
        visible=False,
        scales=scales,
        colors=[colour],
        stroke_width=2,
        labels=[label],
        display_legend=True,
    )


def _axes(bq: Any, scales: dict[str, Any], x: str, y: str) -> list[Any]:
    return [
        bq.Axis(scale=scales["x"], label=x, grid_lines="none"),
        bq.Axis(scale=scales["y"], label=y, side="left", label_offset="44px", num_ticks=5, tick_format=".2f"),
    ]


def _set_points(mark: Any, x: Any, y: Any) -> None:
    """Set the points (x, y) of a bqplot mark; hide the mark if no point has a finite y.

    Points whose y is not finite are left out, because with them the figure's scales would become NaN.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    known = np.isfinite(y) if y.ndim == 1 else np.isfinite(y).all(0)
    with mark.hold_sync():
        if known.any():
            mark.x, mark.y = x[known], y[..., known]
        mark.visible = bool(known.any())


def _colours(n: int) -> list[str]:
    return [COLOURS[k % len(COLOURS)] for k in range(n)]


def _style(options: dict[str, Any], legend: str = "bottom-right") -> dict[str, Any]:
    margin = {"top": 40, "bottom": 50, "left": 62, "right": 16}
    return {"fig_margin": margin, "animation_duration": 0, "legend_location": legend, **options}
