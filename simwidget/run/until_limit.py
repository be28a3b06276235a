"""`UntilLimit`: checks whether the standard errors of a run are small enough to end the run."""

import math

import numpy as np

from simwidget.estimate.accumulators import N_GROUPS
from simwidget.plan.limits import Limits
from simwidget.result.similarity_result import SimilarityResult

LOOK_AGAIN = 1.05
"""Factor by which the number of blocks grows between two checks of the standard errors.

A block is the samples of one Gram matrix. Standard errors are proportional to 1 / sqrt(number of blocks).
"""


class UntilLimit:
    """Compares the standard errors of a run with the limit `until=`, at ever longer intervals.

    The first check is made when every group of the jackknife has data. All checks are made at fixed numbers of blocks
    (a block is the samples of one Gram matrix), so that a repeated run ends at the same batch.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._next = N_GROUPS
        self.n_batches_needed: int | None = None
        """estimated number n of batches after which the limit is reached; None if unknown

        The estimate assumes that standard errors are proportional to 1 / sqrt(n).
        """

    def is_time(self, n_grams: int) -> bool:
        """Whether the standard errors should be checked when the sums contain `n_grams` blocks (Gram matrices)."""
        return self._limits.until is not None and n_grams >= self._next

    def look(self, result: SimilarityResult, n_grams: int) -> bool:
        """Return whether the standard errors of `result` are small enough to end the run; update `n_batches_needed`.

        `n_grams`, the number of blocks in the sums, determines when the next check is due.
        """
        assert self._limits.until is not None
        self._next = max(n_grams + 1, math.ceil(n_grams * LOOK_AGAIN))
        error = self.error(result)
        if error is None:
            return False
        self.n_batches_needed = math.ceil(result.n_batches * max(1.0, (error / self._limits.until) ** 2))
        return error < self._limits.until

    def error(self, result: SimilarityResult) -> float | None:
        """Return the quantile `until_quantile` of the finite standard errors in `result`; None if no error is finite.

        There is one standard error for each measure and each pair of layers. Within one model each pair counts once,
        and a layer is not paired with itself.
        """
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
