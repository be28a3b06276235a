"""`LayerNames`: a matplotlib artist that draws layer names and block brackets beside one axis of a heatmap.

Names and brackets are laid out again at each drawing of the figure, to fit the current size of the figure.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from simwidget.plots.axis_layout import MAX_BRACKET_LEVELS, AxisNode, AxisRange, Label, arrange_labels, walk
from simwidget.plots.figure_text import FigureText

FONTS = {False: FontProperties(size=7), True: FontProperties(size=7, weight="bold")}
"""The fonts of names: `FONTS[True]` for emphasized names, `FONTS[False]` for all other names."""
TICK_SPAN, BRACKET_SPAN, NAME_OFFSET = (1.5, 3.5), (2.0, 4.5), 7.0
"""Distances in points: (start, end) of a row's tick, (start, end) of a bracket, and start of a name.

For ticks, names and brackets next to the cells, the distances are measured from the cells. For a bracket in a column of
brackets, the distances are measured from the start of the column.
"""
GAP = 4.0
"""Distance in points between the names and the first column of brackets. The label of the axis has the same distance
from the outermost column of brackets or, without brackets, from the names."""
LINE_STYLE: dict[str, Any] = {"linewidths": 0.6, "alpha": 0.7, "capstyle": "butt", "joinstyle": "miter"}
MAX_NAME_WIDTH, MAX_NAME_SHARE = 120.0, 0.3
"""Upper limits of the length of a name that is written at right angles to the axis.

The first limit is in points. The second limit is a share of the width (for names of rows) or height (for names of
columns) from `available_size`.
"""


@dataclass(frozen=True)
class LabelSpace:
    """The size and arrangement of the names and brackets beside one axis."""

    names: float
    """distance in points from the cells to the far end of the names"""
    bracket_levels: int
    """number of columns of brackets, which are farther from the cells than the names"""
    horizontal: bool
    """whether the names next to the cells are written horizontally"""


NO_SPACE = LabelSpace(0.0, 0, True)


class LayerNames(Artist):
    """A matplotlib artist that draws names and brackets to the left of a heatmap's rows or below its columns.

    Args:
        axis: the y-axis of the Axes for the rows, or the x-axis for the columns. Row (column) k is at the coordinate k.
        nodes: the rows (columns) and blocks of this axis, made by `axis_layout.axis_nodes`.
        emphasized: positions of rows (columns) whose names are bold and have priority over other names.
    """

    def __init__(self, axis: Any, nodes: Sequence[AxisNode], emphasized: Collection[int] = ()) -> None:
        super().__init__()
        self._axis = axis
        self._vertical = axis is axis.axes.yaxis
        self._nodes = nodes
        self._emphasized = emphasized
        self._children: list[Artist] = []
        self._measured_space: LabelSpace | None = None
        self._figure_text = FigureText(axis.figure)
        self.set_clip_on(False)
        # drawn before the label of the axis, because drawing sets the distance of that label
        self.set_zorder(0)
        axis.axes.add_artist(self)
        axis.set_ticks([])
        self.place_labels()

    # --- the interface of a matplotlib artist -------------------------------------------------------------------------

    def get_children(self) -> list[Artist]:
        """Return the text and line artists of the latest layout."""
        return self._children

    def draw(self, renderer: Any) -> None:
        """Lay out and draw names and brackets.

        matplotlib may have called `get_window_extent` since the last drawing. If so, names and brackets are laid out
        within the space that this call measured.
        """
        if self.get_visible():
            self.place_labels(self._measured_space)
            for child in self._children:
                child.draw(renderer)
        self._measured_space = None
        self.stale = False

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """Return the box, in pixels, that encloses all names and brackets and the label of the axis."""
        self._measured_space = self.place_labels()
        boxes = [child.get_window_extent(renderer) for child in self._children]
        if not boxes:
            return Bbox.null()
        x0, y0, x1, y1 = Bbox.union(boxes).extents
        label = self._axis.label.get_window_extent(renderer)
        label_distance = self._axis.labelpad * self._pixels_per_point
        if self._vertical:
            x0 = min(x0, self._box.x0 - label_distance - label.width)
        else:
            y0 = min(y0, self._box.y0 - label_distance - label.height)
        return Bbox.from_extents(x0, y0, x1, y1)

    def get_tightbbox(self, renderer: Any = None) -> Bbox | None:
        """Return the box for which matplotlib's layouts leave space.

        This is the box of `get_window_extent`, or None if the axis has no rows.
        """
        return self.get_window_extent(renderer) if self._nodes else None

    # --- the layout --------------------------------------------------------------------------------------------------

    def place_labels(self, limit: LabelSpace | None = None) -> LabelSpace:
        """Make the text and line artists for the present size of the Axes, and return the space that they need.

        If `limit` is given, the artists are made to fit into this space.
        """
        self._children = []
        low, high = sorted(self._axis.get_view_interval())
        length = (self._box.height if self._vertical else self._box.width) / self._pixels_per_point
        if length < 1 or low == high:
            return NO_SPACE
        line_height, levels = self._line_height(), MAX_BRACKET_LEVELS if limit is None else limit.bracket_levels
        labels = arrange_labels(
            self._nodes, AxisRange(low, high, length), line_height, self._text_width, self._emphasized, levels
        )
        if not labels:
            return NO_SPACE
        named = [label for label in labels if label.text.strip()]
        fits = all(self._text_width(one.text, one.emphasized) + GAP <= one.length for one in named if not one.level)
        horizontal = self._vertical or (fits if limit is None else limit.horizontal)
        max_width = min(MAX_NAME_WIDTH, MAX_NAME_SHARE * available_size(self._axis.axes)[not self._vertical])
        if limit is not None:
            max_width = min(max_width, limit.names - NAME_OFFSET)

        def shorten(label: Label) -> str:
            along = label.level or (horizontal and not self._vertical)
            return self._figure_text.shorten(
                label.text, FONTS[label.emphasized], label.length - 2 if along else max_width
            )

        texts = {label: shorten(label) for label in named}
        longest = max((self._text_width(texts[one], one.emphasized) for one in named if not one.level), default=0.0)
        names = NAME_OFFSET + (line_height if horizontal and not self._vertical else longest)
        # distances from the cells: of the names beside them (level 0), and of each column of brackets
        offsets = [0.0] + [
            names + GAP + (BRACKET_SPAN[1] + line_height) * k for k in range(1 + max(one.level for one in labels))
        ]
        self._children = [self._make_lines(labels, offsets)]
        for label, text in texts.items():
            vertical_text = self._vertical if label.level else not horizontal
            self._children.append(self._make_name(text, label, offsets[label.level], vertical_text))
        self._axis.labelpad = GAP + (offsets[-1] if len(offsets) > 2 else names)
        return LabelSpace(names, len(offsets) - 2, horizontal)

    def _make_name(self, text: str, label: Label, offset: float, vertical_text: bool) -> Text:
        x, y = self._to_pixels(label.middle, offset + (BRACKET_SPAN[1] + 1 if label.level else NAME_OFFSET))
        alignment = {"ha": "right", "va": "center"} if self._vertical else {"ha": "center", "va": "top"}
        return self._figure_text.make(
            text, FONTS[label.emphasized], x=x, y=y, rotation=90.0 if vertical_text else 0.0, **alignment
        )

    def _make_lines(self, labels: Sequence[Label], offsets: Sequence[float]) -> LineCollection:
        lines = []
        for label in labels:
            if label.is_block:
                near, far = (offsets[label.level] + offset for offset in BRACKET_SPAN)
                inset = min(0.75, label.length / 6)
                start, end = label.start + inset, label.end - inset
                lines.append([(start, near), (start, far), (end, far), (end, near)])
            else:
                lines.append([(label.middle, offset) for offset in TICK_SPAN])
        found = LineCollection(
            [[self._to_pixels(*point) for point in line] for line in lines], transform=None, **LINE_STYLE
        )
        found.set(color=rcParams["axes.edgecolor"], figure=self.figure)
        return found

    def _to_pixels(self, along: float, offset: float) -> tuple[float, float]:
        """Return the pixel (x, y) at `along` points from the start of the axis and `offset` points from the cells."""
        box, along, offset = self._box, along * self._pixels_per_point, offset * self._pixels_per_point
        # matplotlib calls the y-axis inverted when the rows run from top to bottom
        if self._vertical:
            return box.x0 - offset, box.y1 - along if self._axis.get_inverted() else box.y0 + along
        return box.x1 - along if self._axis.get_inverted() else box.x0 + along, box.y0 - offset

    # --- sizes -------------------------------------------------------------------------------------------------------

    @property
    def _box(self) -> Bbox:
        box: Bbox = self._axis.axes.bbox
        return box

    @property
    def _pixels_per_point(self) -> float:
        """Number of pixels in a point (1/72 inch)."""
        return float(self._axis.figure.dpi) / 72

    def _text_width(self, text: str, emphasized: bool = False) -> float:
        return self._figure_text.size(text, FONTS[emphasized])[0]

    def _line_height(self) -> float:
        """Return the least distance between names: the height of the tallest character plus half a point, in points."""
        characters = "".join(sorted(set().union(*(node.name for node in walk(self._nodes)))))
        return max(self._figure_text.size(characters, font)[1] for font in FONTS.values()) + 0.5


def available_size(ax: Any) -> tuple[float, float]:
    """Return (width, height), in points, of the area that the figure reserves for an Axes and its labels."""
    spec = ax.get_subplotspec()
    box = ax.get_position(original=True) if spec is None else spec.get_position(ax.figure)
    figure_box = ax.figure.bbox
    return box.width * figure_box.width * 72 / ax.figure.dpi, box.height * figure_box.height * 72 / ax.figure.dpi
