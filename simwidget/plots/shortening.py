"""Functions that shorten names and titles, and wrap titles.

The argument `fits` of `shorten` and `wrap` is a function that tests whether a text fits into the available space.
"""

import re
from collections.abc import Callable, Sequence

NUMBER = r"\d+(#\d+)?"


def name_within(name: str, block: str | None) -> str:
    """Remove the name of the enclosing block from the start of a layer's or block's name; return the rest.

    A rest that is empty or begins with a number is not clear enough. In this case the last word of the block's name,
    and any numbers after this word, are put in front of the rest. With `block=None` the whole name is returned.

    >>> name_within("layer3.5.conv1", "layer3.5"), name_within("layer3.5", "layer3"), name_within("layer3.5", None)
    ('conv1', 'layer3.5', 'layer3.5')
    """
    if block is None:
        return name
    inner = name[len(block) + 1 :]
    if inner and not re.match(rf"{NUMBER}(\.|$)", inner):
        return inner
    last_part = re.search(rf"[^.]*(\.{NUMBER})*$", block)
    return ".".join([last_part.group() if last_part else block, *filter(None, [inner])])


def shorten(text: str, fits: Callable[[str], bool]) -> str:
    """Return the text if it fits; otherwise replace as little as necessary of its middle by "…".

    The beginning and the end of a module name are kept because they say where the layer is and what it is.

    >>> shorten("encoder.layers.11.attention", lambda text: len(text) <= 15)
    'encoder…tention'
    """
    if fits(text):
        return text
    low, high = 0, len(text) - 1
    while low < high:
        n_kept = (low + high + 1) // 2
        if fits(_both_ends(text, n_kept)):
            low = n_kept
        else:
            high = n_kept - 1
    return _both_ends(text, low)


def _both_ends(text: str, n_kept: int) -> str:
    return f"{text[: n_kept // 2]}…{text[len(text) - (n_kept - n_kept // 2) :]}"


def wrap(pieces: Sequence[str], separator: str, fits: Callable[[str], bool]) -> list[str]:
    """Join the pieces into lines and return the lines. Each line has as many pieces as fit.

    A piece that is too long for a line is shortened.

    >>> wrap(["CKA", "1,000 samples", "partial"], ", ", lambda text: len(text) < 20)
    ['CKA, 1,000 samples', 'partial']
    """
    lines = list(pieces[:1])
    for piece in pieces[1:]:
        longer = f"{lines[-1]}{separator}{piece}"
        if fits(longer):
            lines[-1] = longer
        else:
            lines.append(piece)
    return [shorten(line, fits) for line in lines]
