"""Row maps: functions that centre the Gram matrices of one block of samples and flatten them to vectors, called rows.

Measures are computed from the inner products of rows, summed over blocks. A row map takes the stack (R, n, n) of a
block's Gram matrices, those of the confounders first, and returns rows (R, m), one for each matrix. A row map also
defines the weight of a block of n samples and the smallest n that a block may have. Measures with equal row maps use
the same sums. A row contains NaN if its Gram matrix has values that are not finite. `UnitRows` gives NaN in further
cases.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from simwidget.gram.centring import MIN_RESIDUAL_SHARE, double_centre, positive_part, residuals, triangle, u_centre


class RowMap(Protocol):
    """Maps the Gram matrices (R, n, n) of one block of samples, confounders first, to R vectors (R, m), called rows."""

    @property
    def factor(self) -> float:
        """The number by which the inner product of two rows is multiplied before the sum over blocks."""
        ...

    @property
    def min_samples(self) -> int:
        """The smallest number of samples in a block for which the rows are defined."""
        ...

    def weight(self, n: int) -> float:
        """Return the weight of a block of n samples in the weighted mean over blocks."""
        ...

    def __call__(self, grams: Tensor, n_confounders: int) -> Tensor: ...


@dataclass(frozen=True)
class UCentredRows:
    """Maps each Gram matrix to a row: the upper triangle, without diagonal, of the U-centred Gram matrix.

    The inner product of two rows, multiplied by `factor`, is n (n - 3) times the unbiased HSIC_1, for n samples.
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
    """Maps each Gram matrix to a row: the upper triangle, with diagonal, of the centred Gram matrix.

    The inner product of two rows, multiplied by `factor`, is (n - 1)^2 times the biased HSIC_0, for n samples.
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
    """Maps each Gram matrix to a normalised row: the inner product of a row with itself, times `factor`, is 1.

    Therefore the inner product of two rows, times `factor`, is the CKA of one block of samples. With `deconfounded`, it
    is the dCKA of the block. Every block has weight 1. The computation is in float64. All elements of a row are NaN if
    the matrix is zero before the normalisation. With `deconfounded`, they are also NaN if the confounders explain the
    layer in this block.

    Args:
        base: the row map without normalisation. It determines the centring, and whether rows include the diagonal.
        deconfounded: replace each layer's centred Gram matrix by its residual from a least-squares regression on the
            confounders' centred Gram matrices of the same block.
        positive: before the normalisation, set the negative eigenvalues of each matrix to zero and centre the result.
            The package simtorch does the same.
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
