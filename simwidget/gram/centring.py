"""Centring of Gram matrices, and other pure functions of matrices that row maps are made of."""

import torch
from torch import Tensor

MIN_RESIDUAL_SHARE = 1e-6
"""A layer of which a smaller share than this is left beside the confounders is explained by them."""
MIN_RESIDUAL_SHARE_REDUCED = 1e-4
"""The same for representations in half precision."""


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


def residuals(matrices: Tensor, n_confounders: int) -> Tensor:
    """What least squares on the first `n_confounders` matrices leaves of the others; those stay as they are."""
    flat = matrices.flatten(-2)
    confounders = flat[:n_confounders]
    confounders = confounders / confounders.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    coefficients = flat[n_confounders:] @ torch.linalg.pinv(confounders, rtol=MIN_RESIDUAL_SHARE**0.5)
    flat = torch.cat([flat[:n_confounders], flat[n_confounders:] - coefficients @ confounders])
    return flat.unflatten(-1, matrices.shape[-2:])


def positive_part(matrices: Tensor) -> Tensor:
    """The nearest positive semi-definite matrices: negative eigenvalues become zero. NaN stays NaN."""
    finite = matrices.isfinite().all(-1).all(-1)[..., None, None]
    values, vectors = torch.linalg.eigh(torch.where(finite, matrices, 0.0))
    nearest = (vectors * values.clamp_min(0)[..., None, :]) @ vectors.mT
    return torch.where(finite, nearest, torch.nan)
