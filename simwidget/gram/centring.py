"""Functions on stacks of Gram matrices: centring, flattening, regression residuals, positive semi-definite parts."""

import torch
from torch import Tensor

MIN_RESIDUAL_SHARE = 1e-6
"""Lower limit for the share of a layer that the confounders do not explain. The share is ||E||^2 / ||K||^2: K is the
layer's centred Gram matrix, and E its residual after regression on the confounders' centred Gram matrices. If the share
is smaller, the layer counts as explained by the confounders."""
MIN_RESIDUAL_SHARE_REDUCED = 1e-4
"""Replaces `MIN_RESIDUAL_SHARE` for layers in reduced precision (float16, bfloat16, TF32) if the regression is computed
from sums over blocks. The regression within one block, in `UnitRows`, always uses `MIN_RESIDUAL_SHARE`."""


def u_centre(grams: Tensor) -> Tensor:
    r"""Return symmetric matrices K (..., n, n), n >= 3, after U-centring as defined by Székely and Rizzo (2014).

    .. math:: \tilde K_{ij} = K_{ij} - \frac{\sum_l K_{il} + \sum_l K_{lj}}{n - 2}
              + \frac{\sum_{kl} K_{kl}}{(n - 1)(n - 2)}, \quad i \ne j

    The sums leave out the diagonal of K. The diagonal of the result is zero. The inner product of two U-centred Gram
    matrices is n (n - 3) times the unbiased estimator HSIC_1 of Song et al. (2012).
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
    """Return H K H for matrices K (..., n, n), where H = I - J / n is the centring matrix; all elements of J are 1."""
    k = grams - grams.mean(-1, keepdim=True)
    return k - k.mean(-2, keepdim=True)


def triangle(matrices: Tensor, diagonal: bool) -> Tensor:
    """Flatten the upper triangles of symmetric matrices (..., n, n) to vectors (..., m).

    The inner product of two matrices is twice the inner product of their vectors. For this to hold, `diagonal=True`
    divides the diagonal elements by sqrt(2); m is n (n + 1) / 2. `diagonal=False` leaves out the diagonal, which must
    be zero; m is n (n - 1) / 2.
    """
    n = matrices.shape[-1]
    i, j = torch.triu_indices(n, n, 0 if diagonal else 1, device=matrices.device)
    rows = matrices.flatten(-2).index_select(-1, i * n + j)
    if diagonal:
        k = torch.arange(n, device=matrices.device)
        rows[..., k * n - k * (k - 1) // 2] /= 2**0.5
    return rows


def residuals(matrices: Tensor, n_confounders: int) -> Tensor:
    """Regress the layers' matrices on the confounders' matrices, and return the residuals.

    The first `n_confounders` of the given matrices (R, n, n) belong to confounders, the rest to layers. The result
    (R, n, n) has the confounders' matrices unchanged, followed by the layers' residuals. The observations of the
    least-squares regression are the n^2 elements of a matrix. The regression has no intercept.
    """
    flat = matrices.flatten(-2)
    confounders = flat[:n_confounders]
    confounders = confounders / confounders.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    coefficients = flat[n_confounders:] @ torch.linalg.pinv(confounders, rtol=MIN_RESIDUAL_SHARE**0.5)
    flat = torch.cat([flat[:n_confounders], flat[n_confounders:] - coefficients @ confounders])
    return flat.unflatten(-1, matrices.shape[-2:])


def positive_part(matrices: Tensor) -> Tensor:
    """Return symmetric matrices (..., n, n) with their negative eigenvalues set to zero.

    Each result is the nearest positive semi-definite matrix in the Frobenius norm. If a matrix has an element that is
    not finite, all elements of its result are NaN.
    """
    finite = matrices.isfinite().all(-1).all(-1)[..., None, None]
    values, vectors = torch.linalg.eigh(torch.where(finite, matrices, 0.0))
    nearest = (vectors * values.clamp_min(0)[..., None, :]) @ vectors.mT
    return torch.where(finite, nearest, torch.nan)
