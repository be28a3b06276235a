"""Where an error came from, and how it is told to a reader."""

PREFIX = "simwidget: "


def add_place(error: BaseException, place: str) -> None:
    """Tell with an error where it came from, once; Python 3.11 and later show that below the message."""
    notes = getattr(error, "__notes__", [])
    if PREFIX + place not in notes:
        error.__notes__ = [*notes, PREFIX + place]  # type: ignore[attr-defined]


def places_of(error: BaseException) -> list[str]:
    return [note.removeprefix(PREFIX) for note in getattr(error, "__notes__", ()) if note.startswith(PREFIX)]


def describe_error(error: BaseException) -> str:
    """An error for a reader who has no traceback: what it is and where it came from."""
    places = places_of(error)
    return f"{type(error).__name__}: {error}" + (f" [{'; '.join(places)}]" if places else "")
