"""Text and types in a form that is safe to print."""

from typing import Any


def printable(text: str) -> str:
    r"""The text with every non-printable character (control codes, line breaks, direction marks) as an escape sequence.

    A terminal acts on such characters instead of showing them. The names in a file may contain them, for example to
    move the cursor or to reverse the order of letters.

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
