"""Marks on the cells of a heatmap: hatching, and the outline of the selected cell."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

MIN_OUTLINE = 5.0
"""Least width and height, in points, of the area inside the outline of a cell, even if the cell is smaller."""


def hatch_missing(ax: Any, cells: NDArray[np.bool_]) -> None:
    """Cover cells with hatched grey. `cells` (rows, columns) is True for the cells without a number."""
    _hatch(ax, cells, facecolor="#e4e4e7", edgecolor="#a1a1aa", hatch="////")


def hatch_unsettled(ax: Any, cells: NDArray[np.bool_], colours: NDArray[np.float64]) -> None:
    """Hatch the cells whose standard error is unknown or too large: white on dark cells, black on bright cells.

    Args:
        ax: the Axes of the heatmap.
        cells: bool (rows, columns), True for the cells to hatch.
        colours: (rows, columns, 4), the RGBA colours of all cells.
    """
    bright = colours[..., :3] @ [0.299, 0.587, 0.114] > 0.5
    _hatch(ax, cells & bright, facecolor="none", edgecolor="#00000090", hatch="////")
    _hatch(ax, cells & ~bright, facecolor="none", edgecolor="#ffffff90", hatch="////")


def _hatch(ax: Any, cells: NDArray[np.bool_], **style: Any) -> None:
    corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)] for x0, y0, x1, y1 in _boxes(cells)]
    if corners:
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(corners)
        # rasterized like the cells: thousands of boxes make a large vector file
        ax.add_patch(PathPatch(Path(np.concatenate(corners), codes), linewidth=0, rasterized=True, **style))


def _boxes(cells: NDArray[np.bool_]) -> Iterator[tuple[float, float, float, float]]:
    """Yield boxes (left, top, right, bottom), in data coordinates, that cover the True cells of a mask (rows, columns).

    A box spans a run of adjacent True cells in a row, and also the rows directly below that have exactly the same run.
    """
    open_runs: dict[tuple[int, int], int] = {}
    for row in range(len(cells) + 1):
        row_cells = cells[row] if row < len(cells) else np.zeros(cells.shape[1], bool)
        edges = np.flatnonzero(np.diff(row_cells, prepend=False, append=False))
        runs = set(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
        for run in [run for run in open_runs if run not in runs]:
            yield run[0] - 0.5, open_runs.pop(run) - 0.5, run[1] - 0.5, row - 0.5
        for run in runs:
            open_runs.setdefault(run, row)


class Outline(Artist):
    """The outline of a cell: a black frame around a white frame.

    It is visible on every colour, and has at least the size `MIN_OUTLINE`.
    """

    def __init__(self, ax: Any, row: int, column: int) -> None:
        super().__init__()
        self._ax = ax
        self._cell = [(column - 0.5, row - 0.5), (column + 0.5, row + 0.5)]
        self.set_clip_on(False)
        self.set_in_layout(False)
        self.set_zorder(3)
        ax.add_artist(self)

    def draw(self, renderer: Any) -> None:
        """Draw both frames at the cell's present position in the figure."""
        point = self.figure.dpi / 72
        cell = Bbox(self._ax.transData.transform(self._cell))
        width, height = (max(abs(side), MIN_OUTLINE * point) for side in (cell.width, cell.height))
        (x, y) = cell.x0 + cell.width / 2, cell.y0 + cell.height / 2
        for off, colour in ((2.1, "black"), (0.7, "white")):
            size = (width + 2 * off * point, height + 2 * off * point)
            corner = (x - size[0] / 2, y - size[1] / 2)
            frame = Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.4, joinstyle="miter")
            frame.set_figure(self.figure)
            frame.draw(renderer)
        self.stale = False
