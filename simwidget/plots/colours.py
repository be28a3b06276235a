"""The colour map and colour limits of a heatmap.

The limits never depend on the data. If the limits or the scale are not the defaults, the title of the heatmap has a
note that states them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, FuncNorm, Normalize
from numpy.typing import NDArray

PALETTE, DIVERGING = "magma", "RdBu_r"
MIN_LOG_DISTANCE = 1e-3
"""The logarithmic colour scale of similarities s ends at 1 - s = 0.001. All s above 0.999 have the same colour."""
DEFAULT_THRESHOLD = 0.02
"""Default threshold for standard errors. The colours of standard errors run from 0 to five times the threshold."""


@dataclass(frozen=True)
class Colours:
    """The colours of one heatmap: colour map, limits and scale, ticks of the colour bar, and a note for the title."""

    palette: str | Colormap
    norm: Normalize
    ticks: tuple[float, ...] | None
    """ticks of the colour bar; None if matplotlib chooses the ticks"""
    note: str
    """note for the title that states the limits or the scale; "" if these are the defaults"""

    def extend(self, values: NDArray[np.float64]) -> str:
        """Return the argument `extend` of a matplotlib colour bar: "neither", "min", "max" or "both".

        "min" means that some values are below the lower colour limit, and "max" that some are above the upper limit.
        """
        low, high = self.norm.vmin or 0.0, self.norm.vmax or 0.0
        with np.errstate(invalid="ignore"):
            below, above = bool((values < low - 1e-9).any()), bool((values > high + 1e-9).any())
        return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]


def colours_of(
    kind: str,
    *,
    stderr: bool,
    log: bool,
    cmap: str | Colormap | None,
    vmin: float | None,
    vmax: float | None,
    threshold: float | None,
) -> Colours:
    """Return the colours for the values of a measure or, if `stderr` is true, for the standard errors of the values.

    Args:
        kind: the kind of the measure: "similarity", "distance", or "difference" for a difference of two measures.
        stderr, log, cmap, vmin, vmax, threshold: as in `heatmap`.

    Raises:
        ValueError: `vmin` is not below `vmax`; or `log` is combined with a difference, standard errors or limits.
    """
    diverging = kind == "difference" and not stderr
    palette = cmap or (DIVERGING if diverging else PALETTE)
    if log:
        if diverging or stderr or vmin is not None or vmax is not None:
            raise ValueError(
                "log=True spreads similarities close to 1: use it without vmin and vmax, and not for differences or "
                "standard errors"
            )
        norm = FuncNorm((_to_log, _from_log), vmin=0.0, vmax=1 - MIN_LOG_DISTANCE)
        return Colours(palette, norm, (0.0, 0.9, 0.99, 0.999), "colours by log(1 − s)")
    default = (-1.0 if diverging else 0.0, 5 * (threshold or DEFAULT_THRESHOLD) if stderr else 1.0)
    low, high = (given if given is not None else limit for given, limit in zip((vmin, vmax), default, strict=True))
    if not low < high:
        raise ValueError(f"vmin={low:g}, vmax={high:g}: vmin must be smaller than vmax")
    digits = 3 if stderr else 2
    texts = [f"{limit:.{digits}f}".replace("-", "−") for limit in (low, high)]
    note = "" if (low, high) == default else f"colours from {texts[0]} to {texts[1]}"
    return Colours(palette, Normalize(low, high), None, note)


def _to_log(s: Any) -> Any:
    return -np.log10(np.maximum(1 - np.asarray(s), MIN_LOG_DISTANCE**2))


def _from_log(t: Any) -> Any:
    return 1 - 10 ** -np.asarray(t)
