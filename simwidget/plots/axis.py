"""The names and brackets beside one axis of a map. They are laid out whenever it is drawn, for the size it then has."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from simwidget.plots.figure_text import Pen
from simwidget.plots.layout import LEVELS, Label, Stretch, Unit, arranged, every

FONTS = {False: FontProperties(size=7), True: FontProperties(size=7, weight="bold")}
"""Of usual names and of strong ones."""
TICK, BRACKET, NAME = (1.5, 3.5), (2.0, 4.5), 7.0
"""Points off the cells where a row's tick, a block's bracket and the names begin and end."""
GAP = 4.0
LINE: dict[str, Any] = {"linewidths": 0.6, "alpha": 0.7, "capstyle": "butt", "joinstyle": "miter"}
MOST, SHARE = 120.0, 0.3
"""Points that a name may take, and the share of the room for the whole map."""


@dataclass(frozen=True)
class Taken:
    """The room that names and brackets take."""

    names: float
    """points off the cells, up to the longest name's end"""
    levels: int
    """columns of brackets outside of the names"""
    level: bool
    """whether the names are written level"""


NOTHING = Taken(0.0, 0, True)


class LayerNames(Artist):
    """What stands beside the rows or below the columns of a map.

    Args:
        axis: the y-axis of the map's Axes for the rows, the x-axis for the columns; they are at the whole numbers.
        units: what is there, as `layout.units_of` makes it.
        strong: rows that are named whatever is near, in bold.
    """

    def __init__(self, axis: Any, units: Sequence[Unit], strong: Collection[int] = ()) -> None:
        super().__init__()
        self._axis = axis
        self._rows = axis is axis.axes.yaxis
        self._units = units
        self._strong = strong
        self._children: list[Artist] = []
        self._measured: Taken | None = None
        self._pen = Pen(axis.figure)
        self.set_clip_on(False)
        # drawn before the axis' own label, which must know how far off it is
        self.set_zorder(0)
        axis.axes.add_artist(self)
        axis.set_ticks([])
        self.place()

    # --- what matplotlib asks of an artist ---------------------------------------------------------------------------

    def get_children(self) -> list[Artist]:
        """The texts and lines, as they were last drawn."""
        return self._children

    def draw(self, renderer: Any) -> None:
        """Lay everything out, in the room that the figure's layout has left, and draw it."""
        if self.get_visible():
            self.place(self._measured)
            for child in self._children:
                child.draw(renderer)
        self._measured = None
        self.stale = False

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """The box around everything, with room for the axis' own label beyond."""
        self._measured = self.place()
        boxes = [child.get_window_extent(renderer) for child in self._children]
        if not boxes:
            return Bbox.null()
        x0, y0, x1, y1 = Bbox.union(boxes).extents
        label = self._axis.label.get_window_extent(renderer)
        beyond = self._axis.labelpad * self._pixel
        if self._rows:
            x0 = min(x0, self._box.x0 - beyond - label.width)
        else:
            y0 = min(y0, self._box.y0 - beyond - label.height)
        return Bbox.from_extents(x0, y0, x1, y1)

    def get_tightbbox(self, renderer: Any = None) -> Bbox | None:
        """The same, so that a figure's layout leaves room for it."""
        return self.get_window_extent(renderer) if self._units else None

    # --- the layout --------------------------------------------------------------------------------------------------

    def place(self, most: Taken | None = None) -> Taken:
        """Make the texts and lines for the present size, in at most some room; returns what they take."""
        self._children = []
        low, high = sorted(self._axis.get_view_interval())
        length = (self._box.height if self._rows else self._box.width) / self._pixel
        if length < 1 or low == high:
            return NOTHING
        line, levels = self._line(), LEVELS if most is None else most.levels
        labels = arranged(self._units, Stretch(low, high, length), line, self._width, self._strong, levels)
        if not labels:
            return NOTHING
        named = [label for label in labels if label.text.strip()]
        fits = all(self._width(one.text, one.strong) + GAP <= one.size for one in named if not one.level)
        level = self._rows or (fits if most is None else most.level)
        room = min(MOST, SHARE * room_of(self._axis.axes)[not self._rows])
        if most is not None:
            room = min(room, most.names - NAME)

        def cut(label: Label) -> str:
            along = label.level or (level and not self._rows)
            return self._pen.cut(label.text, FONTS[label.strong], label.size - 2 if along else room)

        texts = {label: cut(label) for label in named}
        longest = max((self._width(texts[one], one.strong) for one in named if not one.level), default=0.0)
        names = NAME + (line if level and not self._rows else longest)
        # of the names beside the cells, and of each column of brackets with the blocks' names along them
        offs = [0.0] + [names + GAP + (BRACKET[1] + line) * k for k in range(1 + max(one.level for one in labels))]
        self._children = [self._lines(labels, offs)]
        for label, text in texts.items():
            turned = self._rows if label.level else not level
            self._children.append(self._name(text, label, offs[label.level], turned))
        self._axis.labelpad = GAP + (offs[-1] if len(offs) > 2 else names)
        return Taken(names, len(offs) - 2, level)

    def _name(self, text: str, label: Label, off: float, turned: bool) -> Text:
        x, y = self._point(label.middle, off + (BRACKET[1] + 1 if label.level else NAME))
        away = {"ha": "right", "va": "center"} if self._rows else {"ha": "center", "va": "top"}
        return self._pen.text(text, FONTS[label.strong], x=x, y=y, rotation=90.0 if turned else 0.0, **away)

    def _lines(self, labels: Sequence[Label], offs: Sequence[float]) -> LineCollection:
        lines = []
        for label in labels:
            if label.block:
                near, far = (offs[label.level] + off for off in BRACKET)
                inset = min(0.75, label.size / 6)
                start, end = label.start + inset, label.end - inset
                lines.append([(start, near), (start, far), (end, far), (end, near)])
            else:
                lines.append([(label.middle, off) for off in TICK])
        found = LineCollection([[self._point(*point) for point in line] for line in lines], transform=None, **LINE)
        found.set(color=rcParams["axes.edgecolor"], figure=self.figure)
        return found

    def _point(self, along: float, off: float) -> tuple[float, float]:
        """Pixels, from points along the axis and off it."""
        box, along, off = self._box, along * self._pixel, off * self._pixel
        # the rows run down, which matplotlib calls inverted
        if self._rows:
            return box.x0 - off, box.y1 - along if self._axis.get_inverted() else box.y0 + along
        return box.x1 - along if self._axis.get_inverted() else box.x0 + along, box.y0 - off

    # --- sizes -------------------------------------------------------------------------------------------------------

    @property
    def _box(self) -> Bbox:
        return self._axis.axes.bbox

    @property
    def _pixel(self) -> float:
        """Pixels a point."""
        return self._axis.figure.dpi / 72

    def _width(self, text: str, strong: bool = False) -> float:
        return self._pen.size(text, FONTS[strong])[0]

    def _line(self) -> float:
        """The height of the tallest name, and some air."""
        letters = "".join(sorted(set().union(*(unit.name for unit in every(self._units)))))
        return max(self._pen.size(letters, font)[1] for font in FONTS.values()) + 0.5


def room_of(ax: Any) -> tuple[float, float]:
    """Width and height, in points, of the part of the figure that an Axes and what is around it have."""
    spec = ax.get_subplotspec()
    box = ax.get_position(original=True) if spec is None else spec.get_position(ax.figure)
    whole = ax.figure.bbox
    return box.width * whole.width * 72 / ax.figure.dpi, box.height * whole.height * 72 / ax.figure.dpi
