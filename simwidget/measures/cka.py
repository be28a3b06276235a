r"""Centred kernel alignment and its deconfounded form, with linear kernels.

CKA (Kornblith et al. 2019) of two layers with Gram matrices K and L, over blocks b of samples with weights w_b (Nguyen,
Raghu and Kornblith 2021):

.. math:: \mathrm{CKA} = \frac{\sum_b w_b \operatorname{HSIC}(K_b, L_b)}
          {\sqrt{\sum_b w_b \operatorname{HSIC}(K_b, K_b) \sum_b w_b \operatorname{HSIC}(L_b, L_b)}}

dCKA (Cui et al. 2022) is CKA after the centred Gram matrices of the layers (l) have been regressed on those of the
confounders (c): the cosine on the Schur complement :math:`S_{ll} - S_{lc} S_{cc}^{-1} S_{cl}` of the summed products S.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.gram.row_maps import CentredRows, RowMap, UCentredRows, UnitRows
from simwidget.measures.base import ConfounderBasis, Measure, MeasureOptions, RowSelection

MIN_EIGENVALUE = 1e-6
"""Eigenvalues of the scaled products of the confounders below this times the number of confounders are dropped."""


@dataclass(frozen=True)
class Cosine:
    """Evaluator: S_xy / sqrt(S_xx S_yy)."""

    uses_confounder: bool = False

    def basis(self, products: Tensor, n_confounders: int) -> None:
        return None

    def explained(
        self, products: Tensor, tolerance: Tensor, n_confounders: int, basis: ConfounderBasis | None
    ) -> Tensor:
        return torch.zeros_like(tolerance, dtype=torch.bool)

    def __call__(
        self, products: Tensor, weight: Tensor, selection: RowSelection, basis: ConfounderBasis | None
    ) -> Tensor:
        variance = products.diagonal()
        return _ratio(products[selection.x][:, selection.y], variance[selection.x], variance[selection.y])


@dataclass(frozen=True)
class DeconfoundedCosine:
    """Evaluator: the cosine on the Schur complement of the confounders' rows."""

    uses_confounder: bool = True

    def basis(self, products: Tensor, n_confounders: int) -> ConfounderBasis:
        """Scale the confounders' products to unit diagonal and keep the eigenvectors with large eigenvalues."""
        c = products[:n_confounders, :n_confounders]
        variance = c.diagonal()
        is_varying = variance > 0
        scale = torch.where(is_varying, variance, 1.0).rsqrt() * is_varying
        values, vectors = torch.linalg.eigh(scale[:, None] * c * scale)
        is_kept = values > MIN_EIGENVALUE * n_confounders
        return ConfounderBasis(scale[:, None] * vectors[:, is_kept], tuple((~is_varying).nonzero().flatten().tolist()))

    def explained(
        self, products: Tensor, tolerance: Tensor, n_confounders: int, basis: ConfounderBasis | None
    ) -> Tensor:
        rows = torch.arange(n_confounders, len(products), device=products.device)
        left = _SchurComplement(products, n_confounders, basis).diagonal(rows)
        found = torch.zeros_like(tolerance, dtype=torch.bool)
        found[n_confounders:] = left < tolerance[rows] * products.diagonal()[rows]
        return found

    def __call__(
        self, products: Tensor, weight: Tensor, selection: RowSelection, basis: ConfounderBasis | None
    ) -> Tensor:
        complement = _SchurComplement(products, selection.n_confounders, basis)
        variance = products.diagonal()

        def variance_left(rows: Tensor) -> Tensor:
            left = complement.diagonal(rows)
            return torch.where(left >= selection.tolerance[rows] * variance[rows], left, torch.nan)

        return _ratio(
            complement.cross(selection.x, selection.y), variance_left(selection.x), variance_left(selection.y)
        )


class _SchurComplement:
    """Parts of the Schur complement of the confounders' rows in the products (R, R), computed on request."""

    def __init__(self, products: Tensor, n_confounders: int, basis: ConfounderBasis | None) -> None:
        assert basis is not None
        transform = basis.transform
        self._products = products
        self._loadings = products[:, :n_confounders] @ transform
        among_confounders = transform.T @ products[:n_confounders, :n_confounders] @ transform
        self._inverse = torch.linalg.pinv(among_confounders, hermitian=True)

    def cross(self, x: Tensor, y: Tensor) -> Tensor:
        """The elements (a, b) for rows x (a,) and y (b,)."""
        return self._products[x][:, y] - self._loadings[x] @ self._inverse @ self._loadings[y].T

    def diagonal(self, rows: Tensor) -> Tensor:
        """The diagonal elements (k,) of some rows (k,): their residual variances."""
        loadings = self._loadings[rows]
        return self._products.diagonal()[rows] - ((loadings @ self._inverse) * loadings).sum(1)


@dataclass(frozen=True)
class MeanRatio:
    """Evaluator: S_xy / weight. For rows of unit length (`UnitRows`) this is the mean of the blocks' own ratios."""

    uses_confounder: bool = False

    def basis(self, products: Tensor, n_confounders: int) -> None:
        return None

    def explained(
        self, products: Tensor, tolerance: Tensor, n_confounders: int, basis: ConfounderBasis | None
    ) -> Tensor:
        return torch.zeros_like(tolerance, dtype=torch.bool)

    def __call__(
        self, products: Tensor, weight: Tensor, selection: RowSelection, basis: ConfounderBasis | None
    ) -> Tensor:
        means = products[selection.x][:, selection.y] / weight
        variance = products.diagonal()
        defined = (variance[selection.x] > 0)[:, None] & (variance[selection.y] > 0)
        return torch.where(defined, means, torch.nan)


def _ratio(cross: Tensor, variance_x: Tensor, variance_y: Tensor) -> Tensor:
    """Ratio cross (a, b) / sqrt(variance_x (a,) variance_y (b,)), not clamped; NaN if a variance is not positive."""
    scale_x = torch.where(variance_x > 0, variance_x, torch.nan).rsqrt()
    scale_y = torch.where(variance_y > 0, variance_y, torch.nan).rsqrt()
    return cross * scale_x[:, None] * scale_y


def cka(options: MeasureOptions) -> Measure:
    """Centred kernel alignment, a similarity.

    1 for representations that are equal up to rotation, translation and scale, about 0 for unrelated ones.
    """
    base = _base_rows(options)
    if options.average == "cka":
        return Measure("cka", "CKA", "similarity", UnitRows(base), MeanRatio())
    return Measure("cka", "CKA", "similarity", base, Cosine())


def dcka(options: MeasureOptions) -> Measure:
    """Deconfounded CKA, a similarity: CKA of the residuals after regression on the confounders' Gram matrices."""
    base = _base_rows(options)
    if options.average == "cka":
        rows: RowMap = UnitRows(base, deconfounded=True, positive=options.remove_negative_eig)
        return Measure("dcka", "dCKA", "similarity", rows, MeanRatio(uses_confounder=True))
    return Measure("dcka", "dCKA", "similarity", base, DeconfoundedCosine())


def _base_rows(options: MeasureOptions) -> UCentredRows | CentredRows:
    return UCentredRows() if options.unbiased else CentredRows()
