"""Any text as something to print: a name from a stranger's file moves no cursor and turns no line around."""


def printable(text: str) -> str:
    r"""The text with an escape for every character that would be obeyed, or not be seen, instead of being shown.

    >>> print(printable("a\nb\x1b[2J\u202ec"))
    a\nb\x1b[2J\u202ec
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
