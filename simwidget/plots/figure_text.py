"""`FigureText`: makes and measures the texts of a figure. Characters that the font lacks are written as escapes."""

from typing import Any

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text

from simwidget.plots.shortening import shorten


class FigureText:
    """Makes and measures the texts of one figure. Measured sizes are cached by text, font and resolution."""

    def __init__(self, figure: Any) -> None:
        self._figure = figure
        self._sizes: dict[tuple[str, FontProperties, float], tuple[float, float]] = {}

    def make(self, string: str, font: FontProperties, **style: Any) -> Text:
        """Return a matplotlib `Text` whose position is in pixels of the figure. The caller must draw the text.

        Mathtext and TeX markup in the string is shown literally.
        """
        text = Text(
            text=escape_missing_glyphs(string, font), fontproperties=font, parse_math=False, usetex=False, **style
        )
        text.set_figure(self._figure)
        return text

    def size(self, string: str, font: FontProperties) -> tuple[float, float]:
        """Return the width and height of a text in points."""
        dpi = self._figure.dpi
        key = (string, font, dpi)
        if key not in self._sizes:
            box = self.make(string, font).get_window_extent()
            self._sizes[key] = box.width * 72 / dpi, box.height * 72 / dpi
        return self._sizes[key]

    def shorten(self, string: str, font: FontProperties, max_width: float) -> str:
        """Return the string, shortened in its middle if it is wider than `max_width` points."""
        return shorten(string, lambda part: self.size(part, font)[0] <= max_width)


def escape_missing_glyphs(string: str, font: FontProperties) -> str:
    r"""Replace each character that is unprintable or not in the font by an escape such as `\u5c42`.

    A character counts as missing only if no family of the font has it. To draw more characters, add font families:
    `matplotlib.rcParams["font.family"] = ["DejaVu Sans", "Noto Sans CJK JP"]`.

    >>> print(escape_missing_glyphs("ä$_{b}$\n层", FontProperties(family=["DejaVu Sans"])))
    ä$_{b}$\n\u5c42
    """
    if string.isascii() and string.isprintable():
        return string
    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in font.get_family()]

    def is_drawable(character: str) -> bool:
        return character.isprintable() and any(font.get_char_index(ord(character)) for font in fonts)

    return "".join(
        character if is_drawable(character) else character.encode("unicode_escape").decode() for character in string
    )
