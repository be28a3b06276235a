"""`Undefined`: for each row (layer or confounder), the batch in which the row was first undefined or uncertain.

A row is uncertain if a noticeable share of the variance of its representation may be nothing but rounding errors.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Undefined:
    """For each of R rows (confounders and layers), the batch in which the row was first undefined or uncertain.

    If a Gram matrix was computed from several batches, the last of these batches counts.
    """

    not_finite: Tensor
    """(R,): index of the batch that gave the first Gram matrix with values that are not finite; -1 if there is none"""
    no_row: Tensor
    """(R,): index of the batch for which the row map first returned values that are not finite; -1 if there is none"""
    n_not_finite: Tensor
    """(R,): number of Gram matrices with values that are not finite"""
    uncertain: Tensor
    """(R,): index of the batch that gave the first Gram matrix in which the row is uncertain; -1 if there is none"""

    def select(self, rows: Tensor) -> "Undefined":
        """Return only the entries of the k rows whose indices are `rows` (k,)."""
        return Undefined(*(part[rows] for part in vars(self).values()))

    def clone(self) -> "Undefined":
        return Undefined(*(part.clone() for part in vars(self).values()))
