"""Whether the standard errors of a run are small enough to end it."""

import math

import numpy as np

from simwidget.estimate.accumulators import N_GROUPS
from simwidget.plan.limits import Limits
from simwidget.result.similarity_result import SimilarityResult

LOOK_AGAIN = 1.05
"""The errors are looked at after so many times the Gram matrices of the time before: they fall with their root."""


class ErrorWatch:
    """Looks, ever more seldom, at how far the standard errors of a run are above what is wanted.

    Not before all groups of the jackknife have data, and after the same Gram matrices in every run.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._next = N_GROUPS
        self.n_batches_needed: int | None = None
        """an estimate of how many batches it takes, as errors fall with the root of their number"""

    def is_time(self, n_grams: int) -> bool:
        """Whether to look now."""
        return self._limits.until is not None and n_grams >= self._next

    def look(self, result: SimilarityResult, n_grams: int) -> bool:
        """Whether the errors are small enough."""
        assert self._limits.until is not None
        self._next = max(n_grams + 1, math.ceil(n_grams * LOOK_AGAIN))
        error = self.error(result)
        if error is None:
            return False
        self.n_batches_needed = math.ceil(result.n_batches * max(1.0, (error / self._limits.until) ** 2))
        return error < self._limits.until

    def error(self, result: SimilarityResult) -> float | None:
        """The standard error that the wanted share of cells is below; None while no cell has one."""
        found = []
        for (measure, x, y), cells in result._cells.items():
            if measure in result.measures:
                stderr = cells.stderr
                # a layer with itself, and each pair within one model twice, say nothing
                found.append(stderr[np.triu_indices(len(stderr), 1)] if x == y else stderr.ravel())
        errors = np.concatenate(found) if found else np.zeros(0)
        errors = errors[np.isfinite(errors)]
        if not len(errors):
            return None
        return float(np.quantile(errors, self._limits.until_quantile, method="higher"))
