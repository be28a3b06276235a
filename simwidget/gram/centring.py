"""Pure functions on stacks of matrices: centring, triangles, least-squares residuals and positive parts."""

import torch
from torch import Tensor

MIN_RESIDUAL_SHARE = 1e-6
"""A layer is explained by the confounders when the residual keeps less than this share of its squared norm."""
MIN_RESIDUAL_SHARE_REDUCED = 1e-4
"""The same for products in reduced precision (half precision, TF32, bfloat16)."""


def u_centre(grams: Tensor) -> Tensor:
    r"""U-centre symmetric matrices (..., n, n) with n >= 3; the result has a zero diagonal (Székely and Rizzo 2014).

    .. math:: \tilde K_{ij} = K_{ij} - \frac{\sum_l K_{il} + \sum_l K_{lj}}{n - 2}
              + \frac{\sum_{kl} K_{kl}}{(n - 1)(n - 2)}, \quad i \ne j

    The diagonal of K is set to zero first, so it does not enter the sums. The inner product of two U-centred Gram
    matrices is n (n - 3) times HSIC_1 of Song et al. (2012).
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
    """H K H with H = I - 1/n, for matrices K (..., n, n)."""
    k = grams - grams.mean(-1, keepdim=True)
    return k - k.mean(-2, keepdim=True)


def triangle(matrices: Tensor, diagonal: bool) -> Tensor:
    """The upper triangles of symmetric matrices (..., n, n) as rows (..., m).

    m is n (n + 1) / 2 with the diagonal and n (n - 1) / 2 without. The diagonal is divided by sqrt(2), so that twice
    the inner product of two rows is the inner product of the two matrices.
    """
    n = matrices.shape[-1]
    i, j = torch.triu_indices(n, n, 0 if diagonal else 1, device=matrices.device)
    rows = matrices.flatten(-2).index_select(-1, i * n + j)
    if diagonal:
        k = torch.arange(n, device=matrices.device)
        rows[..., k * n - k * (k - 1) // 2] /= 2**0.5
    return rows


def residuals(matrices: Tensor, n_confounders: int) -> Tensor:
    """The residuals of a least-squares regression of matrices (R, n, n) on the first `n_confounders` of them.

    The first `n_confounders` matrices are returned unchanged.
    """
    flat = matrices.flatten(-2)
    confounders = flat[:n_confounders]
    confounders = confounders / confounders.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    coefficients = flat[n_confounders:] @ torch.linalg.pinv(confounders, rtol=MIN_RESIDUAL_SHARE**0.5)
    flat = torch.cat([flat[:n_confounders], flat[n_confounders:] - coefficients @ confounders])
    return flat.unflatten(-1, matrices.shape[-2:])


def positive_part(matrices: Tensor) -> Tensor:
    """The nearest positive semi-definite matrices to symmetric ones (..., n, n): negative eigenvalues become zero.

    A matrix with values that are not finite becomes NaN.
    """
    finite = matrices.isfinite().all(-1).all(-1)[..., None, None]
    values, vectors = torch.linalg.eigh(torch.where(finite, matrices, 0.0))
    nearest = (vectors * values.clamp_min(0)[..., None, :]) @ vectors.mT
    return torch.where(finite, nearest, torch.nan)
