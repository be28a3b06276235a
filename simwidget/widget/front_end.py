"""Access to the JavaScript and CSS files of the built front end."""

from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"


def built(name: str) -> str:
    """Return the text of a built front-end file, such as "heatmap.js". Raise FileNotFoundError if it is missing."""
    path = STATIC / name
    if not path.exists():
        raise FileNotFoundError(
            f"the front end is not built ({path.name} is missing): run `npm ci && npm run build` beside package.json, "
            "or install the package again"
        )
    return path.read_text("utf-8")
