"""The built front end."""

from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"


def built(name: str) -> str:
    """A file of the front end."""
    path = STATIC / name
    if not path.exists():
        raise FileNotFoundError(
            f"the front end is not built ({path.name} is missing): run `npm ci && npm run build` beside package.json, "
            "or install the package again"
        )
    return path.read_text("utf-8")
