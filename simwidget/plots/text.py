"""Names and titles, as short as their place demands."""

import re
from collections.abc import Callable, Sequence

NUMBER = r"\d+(#\d+)?"


def below(name: str, block: str | None) -> str:
    """What a layer or block is called inside a block; a number keeps the word before it.

    >>> below("layer3.5.conv1", "layer3.5"), below("layer3.5", "layer3"), below("layer3.5", None)
    ('conv1', 'layer3.5', 'layer3.5')
    """
    if block is None:
        return name
    rest = name[len(block) + 1 :]
    if rest and not re.match(rf"{NUMBER}(\.|$)", rest):
        return rest
    last = re.search(rf"[^.]*(\.{NUMBER})*$", block)
    return ".".join([last.group() if last else block, *filter(None, [rest])])


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """The text, or as much of its two ends as fits: the beginning says where a layer is, the end what it is.

    >>> shortened("encoder.layers.11.attention", lambda text: len(text) <= 15)
    'encoder…tention'
    """
    if fits(text):
        return text
    low, high = 0, len(text) - 1
    while low < high:
        kept = (low + high + 1) // 2
        if fits(_ends(text, kept)):
            low = kept
        else:
            high = kept - 1
    return _ends(text, low)


def _ends(text: str, kept: int) -> str:
    return f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def wrapped(pieces: Sequence[str], between: str, fits: Callable[[str], bool]) -> list[str]:
    """Lines of as many pieces as fit.

    >>> wrapped(["CKA", "1,000 samples", "partial"], ", ", lambda text: len(text) < 20)
    ['CKA, 1,000 samples', 'partial']
    """
    lines = list(pieces[:1])
    for piece in pieces[1:]:
        longer = f"{lines[-1]}{between}{piece}"
        if fits(longer):
            lines[-1] = longer
        else:
            lines.append(piece)
    return [shortened(line, fits) for line in lines]
