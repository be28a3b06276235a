r"""The measures CKA (centred kernel alignment) and dCKA (deconfounded CKA), with linear kernels.

The samples are divided into blocks; block b has the weight w_b. On block b, two layers have the Gram matrices K_b and
L_b. Their CKA (Kornblith et al. 2019) is computed from sums over blocks (Nguyen, Raghu and Kornblith 2021):

.. math:: \mathrm{CKA} = \frac{\sum_b w_b \operatorname{HSIC}(K_b, L_b)}
          {\sqrt{\sum_b w_b \operatorname{HSIC}(K_b, K_b) \sum_b w_b \operatorname{HSIC}(L_b, L_b)}}

dCKA (Cui et al. 2022) is the CKA of residuals: the centred Gram matrices of the layers (l) are regressed on the centred
Gram matrices of the confounders (c). Let S be the matrix of the inner products of all these Gram matrices, summed over
blocks. The Schur complement :math:`S_{ll} - S_{lc} S_{cc}^{-1} S_{cl}` contains the inner products of the residuals.
dCKA is the cosine similarity of the residuals, computed from these inner products.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.gram.row_maps import CentredRows, RowMap, UCentredRows, UnitRows
from simwidget.measures.base import ConfounderBasis, Measure, MeasureOptions, RowSelection

MIN_EIGENVALUE = 1e-6
"""Relative limit on the eigenvalues of the confounders' matrix of inner products.

The matrix is first scaled to a unit diagonal. An eigenvector of the scaled matrix is left out of the regression if its
eigenvalue is at most this limit times the number of confounders.
"""


@dataclass(frozen=True)
class Cosine:
    """Evaluator of CKA: S_xy / sqrt(S_xx S_yy) for layers x and y.

    S (R, R) is the matrix of the inner products of all pairs of rows, summed over blocks of samples.
    """

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
    """Evaluator of dCKA: T_xy / sqrt(T_xx T_yy) for layers x and y.

    T contains the inner products of the layers' residuals after the regression on the confounders. It is the Schur
    complement of the confounders in the matrix of summed inner products.
    """

    uses_confounder: bool = True

    def basis(self, products: Tensor, n_confounders: int) -> ConfounderBasis:
        """Return the regressors, computed from the confounders' matrix of inner products.

        The matrix is first scaled to a unit diagonal. There is one regressor for each eigenvector of the scaled matrix
        with an eigenvalue above the limit that `MIN_EIGENVALUE` defines.
        """
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
    """The Schur complement of the confounders in the matrix `products` (R, R).

    Its elements are the inner products of the residuals after the regression on the confounders. They are not stored:
    each method computes the elements that it returns.
    """

    def __init__(self, products: Tensor, n_confounders: int, basis: ConfounderBasis | None) -> None:
        assert basis is not None
        transform = basis.transform
        self._products = products
        self._loadings = products[:, :n_confounders] @ transform
        among_confounders = transform.T @ products[:n_confounders, :n_confounders] @ transform
        self._inverse = torch.linalg.pinv(among_confounders, hermitian=True)

    def cross(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the elements (a, b) at the row indices x (a,) and the column indices y (b,)."""
        return self._products[x][:, y] - self._loadings[x] @ self._inverse @ self._loadings[y].T

    def diagonal(self, rows: Tensor) -> Tensor:
        """Return the diagonal elements (k,) at the indices `rows` (k,). They are the residual variances of the rows."""
        loadings = self._loadings[rows]
        return self._products.diagonal()[rows] - ((loadings @ self._inverse) * loadings).sum(1)


@dataclass(frozen=True)
class MeanRatio:
    """Evaluator of means over blocks of samples: S_xy / w for layers x and y.

    S (R, R) is the matrix of the inner products of all pairs of rows, summed over blocks; w is the total weight of the
    blocks. The rows of `UnitRows` are normalised, so that S_xy / w is the mean of CKA or dCKA over the blocks.
    """

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
    """Return cross_ij / sqrt(variance_x_i variance_y_j) for all i, j; NaN if a variance is not positive.

    `cross` and the result are (a, b), `variance_x` (a,) and `variance_y` (b,). The ratio may exceed 1.
    """
    scale_x = torch.where(variance_x > 0, variance_x, torch.nan).rsqrt()
    scale_y = torch.where(variance_y > 0, variance_y, torch.nan).rsqrt()
    return cross * scale_x[:, None] * scale_y


def cka(options: MeasureOptions) -> Measure:
    """Return the measure CKA, centred kernel alignment, a similarity.

    CKA is 1 for representations that are equal up to rotation, translation and scale. For unrelated representations,
    the unbiased estimate of CKA is about 0, and the biased estimate is larger.
    """
    base = _base_rows(options)
    if options.average == "cka":
        return Measure("cka", "CKA", "similarity", UnitRows(base), MeanRatio())
    return Measure("cka", "CKA", "similarity", base, Cosine())


def dcka(options: MeasureOptions) -> Measure:
    """Return the measure dCKA, deconfounded CKA, a similarity.

    The layers' Gram matrices are regressed on the confounders' Gram matrices. dCKA is the CKA of the residuals.
    """
    base = _base_rows(options)
    if options.average == "cka":
        rows: RowMap = UnitRows(base, deconfounded=True, positive=options.remove_negative_eig)
        return Measure("dcka", "dCKA", "similarity", rows, MeanRatio(uses_confounder=True))
    return Measure("dcka", "dCKA", "similarity", base, DeconfoundedCosine())


def _base_rows(options: MeasureOptions) -> UCentredRows | CentredRows:
    return UCentredRows() if options.unbiased else CentredRows()
