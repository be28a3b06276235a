"""Texts for readers of a result about layers whose variance may be nothing but rounding errors."""

from collections.abc import Iterable, Sequence

from simwidget.gram.rows import Row

MAX_NAMED = 3
"""The largest number of layers that a note names."""


def rounding_reason(row: Row) -> str:
    """Return the reason why a layer has no values in a result if all of its variance may be rounding errors."""
    if row.dtype == "float64":
        return "constant up to rounding errors in float64"
    return (
        "constant up to rounding errors in float32: to see whether the layer varies, run model and batches in float64"
    )


def rounding_notes(rows: Iterable[Row]) -> list[str]:
    """Return, for each dtype, a note on the given layers, in which some features may vary only by rounding errors."""
    layers: dict[str, dict[str, None]] = {"float32": {}, "float64": {}}
    for row in rows:
        layers["float64" if row.dtype == "float64" else "float32"][f"{row.key[1]!r}"] = None
    return [_note(dtype, list(names)) for dtype, names in layers.items() if names]


def _note(dtype: str, layers: Sequence[str]) -> str:
    more = f" and {len(layers) - MAX_NAMED} more" if len(layers) > MAX_NAMED else ""
    remedy = ": to see whether they vary, run model and batches in float64" if dtype == "float32" else ""
    return (
        f"{dtype} cannot tell whether some features vary or are only rounded, because their means are far larger than "
        f"their spreads, in layer{'s' if len(layers) > 1 else ''} {', '.join(layers[:MAX_NAMED])}{more}. These "
        f"features are compared as they are{remedy}"
    )
