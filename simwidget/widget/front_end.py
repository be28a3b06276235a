"""The files of the built front end."""

from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"


def built(name: str) -> str:
    """The text of a file of the built front end. Raises FileNotFoundError where it was not built."""
    path = STATIC / name
    if not path.exists():
        raise FileNotFoundError(
            f"the front end is not built ({path.name} is missing): run `npm ci && npm run build` beside package.json, "
            "or install the package again"
        )
    return path.read_text("utf-8")
