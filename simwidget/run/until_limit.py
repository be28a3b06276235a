"""Whether the standard errors of a run are small enough to end it."""

import math

import numpy as np

from simwidget.estimate.accumulators import N_GROUPS
from simwidget.plan.limits import Limits
from simwidget.result.similarity_result import SimilarityResult

LOOK_AGAIN = 1.05
"""Factor between the numbers of blocks at two looks. Standard errors fall with the root of that number."""


class UntilLimit:
    """Compares the standard errors of a run with the limit `until=`, at ever longer intervals.

    The first look is when every group of the jackknife has data. All looks are at fixed numbers of blocks, so that a
    repeated run ends at the same batch.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._next = N_GROUPS
        self.n_batches_needed: int | None = None
        """an estimate of the batches needed to reach the limit; errors fall with the root of their number"""

    def is_time(self, n_grams: int) -> bool:
        """Whether the errors should be looked at after this many blocks."""
        return self._limits.until is not None and n_grams >= self._next

    def look(self, result: SimilarityResult, n_grams: int) -> bool:
        """Whether the errors of a result are small enough to end the run; also updates `n_batches_needed`."""
        assert self._limits.until is not None
        self._next = max(n_grams + 1, math.ceil(n_grams * LOOK_AGAIN))
        error = self.error(result)
        if error is None:
            return False
        self.n_batches_needed = math.ceil(result.n_batches * max(1.0, (error / self._limits.until) ** 2))
        return error < self._limits.until

    def error(self, result: SimilarityResult) -> float | None:
        """The quantile `until_quantile` of the standard errors of all cells; None while no cell has one."""
        found = []
        for (measure, x, y), cells in result._cells.items():
            if measure in result.measures:
                stderr = cells.stderr
                # within one model, each pair counts once and the diagonal does not count
                found.append(stderr[np.triu_indices(len(stderr), 1)] if x == y else stderr.ravel())
        errors = np.concatenate(found) if found else np.zeros(0)
        errors = errors[np.isfinite(errors)]
        if not len(errors):
            return None
        return float(np.quantile(errors, self._limits.until_quantile, method="higher"))
