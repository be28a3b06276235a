"""Functions that make text safe to print, and describe the type of a value in a message."""

from typing import Any


def printable(text: str) -> str:
    r"""Return the text with an escape sequence in place of each non-printable character.

    Non-printable characters are, for example, control codes, line breaks and direction marks. A terminal does not show
    them, but acts on them: a name from a file could move the cursor or reverse the order of letters.

    >>> print(printable("a\nb\x1b[2J\u202ec"))
    a\nb\x1b[2J\u202ec
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def describe_type(value: Any) -> str:
    """Return the name of a value's type with an indefinite article, for messages about a wrong type.

    >>> describe_type([]), describe_type(5)
    ('a list', 'an int')
    """
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeioAEIO" else f"a {name}"
