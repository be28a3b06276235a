"""`Undefined`: for each row (layer or confounder), the batch in which the row was first undefined."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Undefined:
    """For each of R rows (confounders and layers), the batch of the loader in which the row was first undefined.

    If a Gram matrix was computed from several batches, the last of these batches counts.
    """

    not_finite: Tensor
    """(R,): index of the batch that gave the first Gram matrix with values that are not finite; -1 if there is none"""
    no_row: Tensor
    """(R,): index of the batch for which the row map first returned values that are not finite; -1 if there is none"""
    n_not_finite: Tensor
    """(R,): number of Gram matrices with values that are not finite"""

    def select(self, rows: Tensor) -> "Undefined":
        """Return only the entries of the k rows whose indices are `rows` (k,)."""
        return Undefined(self.not_finite[rows], self.no_row[rows], self.n_not_finite[rows])

    def clone(self) -> "Undefined":
        return Undefined(self.not_finite.clone(), self.no_row.clone(), self.n_not_finite.clone())
