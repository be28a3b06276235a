"""The limits that end a run: a number of batches, samples or seconds, or a standard error."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """The limits of a run. The run ends when the first limit is reached. A limit that is None does not apply."""

    max_batches: int | None = None
    max_samples: int | None = None
    max_seconds: float | None = None
    until: float | None = None
    """the standard error below which a cell (the value of one measure for one pair of layers) is precise enough"""
    until_quantile: float = 1.0
    """the share of cells, in (0, 1], whose standard errors must be below `until`; cells without a finite standard error
    do not count"""

    def check(self) -> None:
        """Raise ValueError if an attribute has an invalid value."""
        for name in ("max_batches", "max_samples"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"{name}={value!r}: give a whole number from 1 on")
        for name in ("max_seconds", "until"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 < value < float("inf")):
                what = "a number of seconds" if name == "max_seconds" else "a standard error, such as 0.01"
                raise ValueError(f"{name}={value!r}: give {what}, above 0")
        if not (_is_number(self.until_quantile) and 0 < self.until_quantile <= 1):
            raise ValueError(
                f"until_quantile={self.until_quantile!r}: give the share of cells whose error must be below until=, "
                "above 0 and at most 1"
            )

    def as_given(self) -> dict[str, Any]:
        """Return the limits that are not None, by option name, for the provenance of a result.

        `until_quantile` is left out if `until` is None. `max_batches` is always left out, because the provenance
        records this limit even if it is None.
        """
        asked = {name: value for name, value in vars(self).items() if value is not None and name != "max_batches"}
        return asked if "until" in asked else {name: one for name, one in asked.items() if name != "until_quantile"}

    def reached(self, n_batches: int, n_samples: int, seconds: float) -> str | None:
        """Return a text such as "max_batches=100" if the run has reached a limit of batches, samples or seconds.

        Return None if the run has reached none of these three limits.

        Args:
            n_batches, n_samples, seconds: how much the run has processed so far.
        """
        for name, value in (("max_batches", n_batches), ("max_samples", n_samples), ("max_seconds", seconds)):
            limit = getattr(self, name)
            if limit is not None and value >= limit:
                return f"{name}={limit!r}"
        return None

    def batches_needed(self, n_batches: int, n_samples: int, seconds: float, by_errors: int | None) -> int | None:
        """Estimate how many batches the whole run will have if `max_batches` does not end it.

        The estimate assumes that the mean size and the mean duration of batches stay the same. Return None if the
        number cannot be estimated.

        Args:
            n_batches, n_samples, seconds: how much the run has processed so far.
            by_errors: how many batches are needed until the standard errors are below `until`; None if unknown.
        """
        needed = [] if by_errors is None else [by_errors]
        if self.max_samples is not None and n_samples:
            needed.append(math.ceil(n_batches * self.max_samples / n_samples))
        if self.max_seconds is not None and seconds:
            needed.append(math.ceil(n_batches * self.max_seconds / seconds))
        return min(needed, default=None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
