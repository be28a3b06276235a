"""Gram matrix -> row. The measures are inner products of these rows.

A row map takes the stack of one batch's Gram matrices, confounders first, and gives one row each. It says how much a
batch of n samples weighs and from how many samples on it is defined. Two measures with equal row maps share one
accumulator. A row that is undefined (no variance, or nothing left beside the confounder) is NaN.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

EXPLAINED = 1e-6
"""A layer of which a smaller share than this is left beside the confounders is explained by them."""
EXPLAINED_REDUCED = 1e-4
"""The same for representations in half precision."""


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


def u_centre(grams: Tensor) -> Tensor:
    r"""U-centred matrices (..., n, n) with a zero diagonal (Székely and Rizzo 2014), n >= 3.

    .. math:: \tilde K_{ij} = K_{ij} - \frac{\sum_l K_{il} + \sum_l K_{lj}}{n - 2}
              + \frac{\sum_{kl} K_{kl}}{(n - 1)(n - 2)}, \quad i \ne j

    The diagonal is set to zero first, so it never enters the sums. The inner product of two U-centred Gram matrices
    is n (n - 3) times HSIC_1 of Song et al. (2012).
    """
    n = grams.shape[-1]
    k = grams.clone()
    k.diagonal(dim1=-2, dim2=-1).zero_()
    sums = k.sum(-1)
    half = sums / (n - 2) - sums.sum(-1, keepdim=True) / (2 * (n - 1) * (n - 2))
    k -= half[..., :, None]
    k -= half[..., None, :]
    k.diagonal(dim1=-2, dim2=-1).zero_()
    return k


def double_centre(grams: Tensor) -> Tensor:
    """H K H with H = I - 1/n, for matrices (..., n, n)."""
    k = grams - grams.mean(-1, keepdim=True)
    return k - k.mean(-2, keepdim=True)


def triangle(matrices: Tensor, diagonal: bool) -> Tensor:
    """The upper triangles of symmetric matrices (..., n, n) as rows, the diagonal included or not.

    The diagonal is divided by sqrt(2), so that twice the product of two rows is the product of the whole matrices.
    """
    n = matrices.shape[-1]
    i, j = torch.triu_indices(n, n, 0 if diagonal else 1, device=matrices.device)
    rows = matrices.flatten(-2).index_select(-1, i * n + j)
    if diagonal:
        k = torch.arange(n, device=matrices.device)
        rows[..., k * n - k * (k - 1) // 2] /= 2**0.5
    return rows


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
        before = matrices.flatten(-2).norm(dim=-1)
        left = torch.ones_like(before)
        if self.deconfounded:
            matrices = residuals(matrices, n_confounders)
            share = (matrices.flatten(-2).norm(dim=-1) / before) ** 2
            left = torch.where(torch.arange(len(share), device=share.device) < n_confounders, 1.0, share)
        if self.positive:
            matrices = self.base.centre(positive_part(matrices))
        rows = self.base.flatten(matrices)
        norm = rows.norm(dim=-1) * self.factor**0.5
        defined = (norm > 0) & (left >= EXPLAINED)
        return rows / torch.where(defined, norm, torch.nan)[:, None]


def residuals(matrices: Tensor, n_confounders: int) -> Tensor:
    """What least squares on the first `n_confounders` matrices leaves of the others; those stay as they are."""
    flat = matrices.flatten(-2)
    confounders = flat[:n_confounders]
    confounders = confounders / confounders.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    coefficients = flat[n_confounders:] @ torch.linalg.pinv(confounders, rtol=EXPLAINED**0.5)
    flat = torch.cat([flat[:n_confounders], flat[n_confounders:] - coefficients @ confounders])
    return flat.unflatten(-1, matrices.shape[-2:])


def positive_part(matrices: Tensor) -> Tensor:
    """The nearest positive semi-definite matrices: negative eigenvalues become zero. NaN stays NaN."""
    finite = matrices.isfinite().all(-1).all(-1)[..., None, None]
    values, vectors = torch.linalg.eigh(torch.where(finite, matrices, 0.0))
    nearest = (vectors * values.clamp_min(0)[..., None, :]) @ vectors.mT
    return torch.where(finite, nearest, torch.nan)
