"""Texts on a figure, their sizes, and any string as something that the font can show."""

from typing import Any

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

from simwidget.plots.text import shortened


class Pen:
    """Makes and measures the texts of one figure, each text once for each resolution."""

    def __init__(self, figure: Any) -> None:
        self._figure = figure
        self._sizes: dict[tuple[str, FontProperties, float], tuple[float, float]] = {}

    def text(self, string: str, font: FontProperties, **style: Any) -> Text:
        """A text in pixels of the figure, which the caller draws."""
        made = Text(text=drawable(string, font), fontproperties=font, parse_math=False, usetex=False, **style)
        made.set_figure(self._figure)
        return made

    def size(self, string: str, font: FontProperties) -> tuple[float, float]:
        """Width and height in points."""
        dpi = self._figure.dpi
        key = (string, font, dpi)
        if key not in self._sizes:
            box = self.text(string, font).get_window_extent()
            self._sizes[key] = box.width * 72 / dpi, box.height * 72 / dpi
        return self._sizes[key]

    def cut(self, string: str, font: FontProperties, room: float) -> str:
        """The string, shortened to so many points."""
        return shortened(string, lambda part: self.size(part, font)[0] <= room)


def drawable(string: str, font: FontProperties) -> str:
    r"""The string with an escape like `\u5c42` for every character that cannot be seen or that the font lacks.

    Every family of the font is tried: `matplotlib.rcParams["font.family"] = ["DejaVu Sans", "Noto Sans CJK JP"]` has
    more of them.

    >>> print(drawable("ä$_{b}$\n层", FontProperties(family=["DejaVu Sans"])))
    ä$_{b}$\n\u5c42
    """
    if string.isascii() and string.isprintable():
        return string
    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in font.get_family()]

    def shown(letter: str) -> bool:
        return letter.isprintable() and any(one.get_char_index(ord(letter)) for one in fonts)

    return "".join(letter if shown(letter) else letter.encode("unicode_escape").decode() for letter in string)
