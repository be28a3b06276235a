"""Gram matrix -> row. The measures are inner products of these rows.

A row map takes the stack of one batch's Gram matrices, confounders first, and gives one row each. It says how much a
batch of n samples weighs and from how many samples on it is defined. Two measures with equal row maps share one
accumulator. A row that is undefined (no variance, or nothing left beside the confounder) is NaN.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from simwidget.gram.centring import MIN_RESIDUAL_SHARE, double_centre, positive_part, residuals, triangle, u_centre


class RowMap(Protocol):
    """One batch's Gram matrices (R, n, n) -> rows (R, m)."""

    @property
    def factor(self) -> float:
        """The inner product of two rows times this is the quantity that is summed."""
        ...

    @property
    def min_samples(self) -> int: ...

    def weight(self, n: int) -> float:
        """The weight of a batch of n samples."""
        ...

    def __call__(self, grams: Tensor, n_confounders: int) -> Tensor: ...


@dataclass(frozen=True)
class UCentredRows:
    """Strict triangles of U-centred Gram matrices: their products are n (n - 3) times the unbiased HSIC_1."""

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
    """Triangles, diagonal included, of centred Gram matrices: their products are (n - 1)^2 times the biased HSIC_0."""

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
    """Rows of unit length, so that the sum over batches is a sum of per-batch ratios; every batch weighs one.

    `deconfounded` takes from each row what this batch's confounder rows explain of it, by least squares;
    `positive` then sets the negative eigenvalues of what is left to zero and centres again, as simtorch does.
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
