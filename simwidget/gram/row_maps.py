"""Row maps: they turn the Gram matrices of one block of samples into rows, whose inner products are the measures.

A row map takes the stack of a block's Gram matrices, confounders first, and returns one row for each. It also defines
the weight of a block of n samples and the smallest n it can be used for. Measures with equal row maps share one
accumulator. A row that is undefined (no variance, or no residual beside the confounders) is NaN.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from simwidget.gram.centring import MIN_RESIDUAL_SHARE, double_centre, positive_part, residuals, triangle, u_centre


class RowMap(Protocol):
    """Maps the Gram matrices (R, n, n) of one block, confounders first, to rows (R, m)."""

    @property
    def factor(self) -> float:
        """The quantity that is summed over blocks is this factor times the inner product of two rows."""
        ...

    @property
    def min_samples(self) -> int:
        """The smallest block for which the rows are defined."""
        ...

    def weight(self, n: int) -> float:
        """The weight of a block of n samples in the sums."""
        ...

    def __call__(self, grams: Tensor, n_confounders: int) -> Tensor: ...


@dataclass(frozen=True)
class UCentredRows:
    """Strict triangles of U-centred Gram matrices.

    The factor times the inner product of two rows is n (n - 3) times the unbiased HSIC_1.
    """

    factor: float = 2.0
    min_samples: int = 4

    def weight(self, n: int) -> float:
        return n * (n - 3)

    def centre(self, grams: Tensor) -> Tensor:
        return u_centre(grams)

    def flatten(self, matrices: Tensor) -> Tensor:
        return triangle(matrices, diagonal=False)

    def __call__(self, grams: Tensor, n_confounders: int) -> Tensor:
        return self.flatten(self.centre(grams))


@dataclass(frozen=True)
class CentredRows:
    """Maps each Gram matrix to a row: the triangle, with diagonal, of the centred Gram matrix.

    The inner product of two rows, multiplied by `factor`, is (n - 1)^2 times the biased HSIC_0.
    """

    factor: float = 2.0
    min_samples: int = 2

    def weight(self, n: int) -> float:
        return (n - 1) ** 2

    def centre(self, grams: Tensor) -> Tensor:
        return double_centre(grams)

    def flatten(self, matrices: Tensor) -> Tensor:
        return triangle(matrices, diagonal=True)

    def __call__(self, grams: Tensor, n_confounders: int) -> Tensor:
        return self.flatten(self.centre(grams))


@dataclass(frozen=True)
class UnitRows:
    """Rows of unit length, so that the sum over blocks is a sum of each block's own ratio; every block has weight 1.

    With `deconfounded` each matrix is replaced by its least-squares residual on the confounders' matrices of the same
    block. With `positive` the negative eigenvalues of the residual are then set to zero and it is centred again, as
    simtorch does. The computation is in float64.
    """

    base: UCentredRows | CentredRows
    deconfounded: bool = False
    positive: bool = False

    @property
    def factor(self) -> float:
        return self.base.factor

    @property
    def min_samples(self) -> int:
        return self.base.min_samples

    def weight(self, n: int) -> float:
        return 1.0

    def __call__(self, grams: Tensor, n_confounders: int) -> Tensor:
        matrices = self.base.centre(grams.double())
        norms_before = matrices.flatten(-2).norm(dim=-1)
        residual_share = torch.ones_like(norms_before)
        if self.deconfounded:
            matrices = residuals(matrices, n_confounders)
            share = (matrices.flatten(-2).norm(dim=-1) / norms_before) ** 2
            residual_share = torch.where(torch.arange(len(share), device=share.device) < n_confounders, 1.0, share)
        if self.positive:
            matrices = self.base.centre(positive_part(matrices))
        rows = self.base.flatten(matrices)
        norm = rows.norm(dim=-1) * self.factor**0.5
        defined = (norm > 0) & (residual_share >= MIN_RESIDUAL_SHARE)
        return rows / torch.where(defined, norm, torch.nan)[:, None]
