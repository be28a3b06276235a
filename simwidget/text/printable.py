"""Any text or type as something to print."""

from typing import Any


def printable(text: str) -> str:
    r"""The text with an escape for every character that would be obeyed, or not be seen, instead of being shown.

    A name from a stranger's file then moves no cursor and turns no line around.

    >>> print(printable("a\nb\x1b[2J\u202ec"))
    a\nb\x1b[2J\u202ec
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def describe_type(value: Any) -> str:
    """How a message calls a value of the wrong type.

    >>> describe_type([]), describe_type(5)
    ('a list', 'an int')
    """
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeioAEIO" else f"a {name}"
