"""Suggestions for an unknown name, to be put at the end of an error message."""

from collections.abc import Sequence
from difflib import get_close_matches


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a text that suggests known names, for the end of an error message about the unknown name `name`.

    The text is " Did you mean ...?" with up to three known names that are similar to `name`. If no known name is
    similar, the text is " Known: ..." with the first eight known names. The text begins with a space, so that it can
    follow a sentence.

    >>> did_you_mean("layer3.9", ["layer3.0", "layer4.0", "fc"])
    " Did you mean 'layer3.0', 'layer4.0'?"
    """
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f" Did you mean {', '.join(map(repr, close))}?"
    more = ", ..." if len(known) > 8 else ""
    return f" Known: {', '.join(map(repr, known[:8]))}{more}."
