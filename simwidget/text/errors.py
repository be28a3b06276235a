"""Functions that attach to an exception the places where it occurred, and describe it together with these places."""

PREFIX = "simwidget: "
"""Beginning of every note that `add_place` attaches to an exception; `places_of` ignores notes without this prefix."""


def add_place(error: BaseException, place: str) -> None:
    """Attach to an exception the place where it occurred, such as a layer or a batch.

    The place is stored as a note of the exception. In Python 3.11 and later, tracebacks show notes below the message. A
    place that is already attached is not attached again.
    """
    notes = getattr(error, "__notes__", [])
    if PREFIX + place not in notes:
        error.__notes__ = [*notes, PREFIX + place]  # type: ignore[attr-defined]


def places_of(error: BaseException) -> list[str]:
    """Return the places that `add_place` attached to an error, in the order in which they were attached."""
    return [note.removeprefix(PREFIX) for note in getattr(error, "__notes__", ()) if note.startswith(PREFIX)]


def describe_error(error: BaseException) -> str:
    """Return the type, the message and the places of an exception as one string, for readers who see no traceback.

    >>> error = ValueError("3 features, not 4")
    >>> add_place(error, "layer 'fc' of model 'a'")
    >>> describe_error(error)
    "ValueError: 3 features, not 4 [layer 'fc' of model 'a']"
    """
    places = places_of(error)
    return f"{type(error).__name__}: {error}" + (f" [{'; '.join(places)}]" if places else "")
