"""What a reader of a result is told about layers whose variance may be nothing but rounding errors."""

from collections.abc import Iterable, Sequence

from simwidget.gram.rows import Row

MAX_NAMED = 3
"""The largest number of layers that a note names."""


def rounding_reason(row: Row) -> str:
    """Return the reason why a layer has no values although its values are not exactly constant."""
    if row.dtype == "float64":
        return "constant but for rounding in float64"
    return "constant but for rounding in float32: a model and batches in float64 would tell"


def rounding_notes(rows: Iterable[Row]) -> list[str]:
    """Return a note for each dtype of the given layers, in which some features vary by no more than rounding."""
    layers: dict[str, dict[str, None]] = {"float32": {}, "float64": {}}
    for row in rows:
        layers["float64" if row.dtype == "float64" else "float32"][f"{row.key[1]!r}"] = None
    return [_note(dtype, list(names)) for dtype, names in layers.items() if names]


def _note(dtype: str, layers: Sequence[str]) -> str:
    more = f" and {len(layers) - MAX_NAMED} more" if len(layers) > MAX_NAMED else ""
    remedy = ": a model and batches in float64 would tell" if dtype == "float32" else ""
    return (
        f"{dtype} cannot tell whether some features vary or are only rounded, since their offset is far above their "
        f"spread, in layer{'s' if len(layers) > 1 else ''} {', '.join(layers[:MAX_NAMED])}{more}. Their values are "
        f"compared as they are{remedy}"
    )
