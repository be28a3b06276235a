"""Representation -> Gram matrix.

The features are centred before the product, always: a Gram matrix of uncentred float32 representations loses in its
offset the digits that the measures need (errors of 2e-3 to 8e-3 in dCKA). Centring goes by chunks of features that
stay in the cache, in the pass that feeds the product, so that it costs little more than the product alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.precision import full_precision

CHUNK_ELEMENTS = {"cpu": 2**19}
"""Elements of a representation that are centred at a time: what stays in a CPU's cache; elsewhere bounded scratch."""
DEFAULT_CHUNK_ELEMENTS = 2**24

CONSTANT_TOLERANCE = 8
"""A representation whose spread is under this many rounding errors of its mean is constant."""


@dataclass(frozen=True)
class Moments:
    """What centring takes away from a representation x (n, p): enough to rebuild the uncentred Gram matrix."""

    inner: Tensor
    """(n,): the product of each centred sample with the mean, (x_i - mu) . mu"""
    mean_square: Tensor
    """(): the squared norm of the mean, |mu|^2"""
    sums: Tensor
    """(n,): the sum of each sample's features"""
    mean_sum: Tensor
    """(): the sum of the mean's features"""
    n_features: int

    def uncentre(self, gram: Tensor) -> Tensor:
        """The Gram matrix x x^T of the representation as it was, from that of its centred features."""
        return gram + self.inner[:, None] + self.inner[None, :] + self.mean_square


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 stays float64; every other representation, half precision too, is multiplied in float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def linear_gram(x: Tensor) -> Tensor:
    r"""The Gram matrix of the centred features of one representation.

    .. math:: K = (x - \mu)(x - \mu)^\top, \quad \mu = \tfrac{1}{n} \sum_i x_i

    Args:
        x: representation (n, p), any real floating dtype. Products accumulate in float32, in float64 for float64.

    Returns:
        (n, n), float32 or float64, on the device of `x`. All zeros when the representation is the same for every
        sample (to rounding); NaN where it holds values that are not finite.

    >>> import torch
    >>> linear_gram(torch.tensor([[1.0, 100.0], [3.0, 100.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    return linear_gram_and_moments(x, moments=False)[0]


def linear_gram_and_moments(x: Tensor, moments: bool = True) -> tuple[Tensor, Moments | None]:
    """`linear_gram`, and on request the moments from which the uncentred Gram matrix is rebuilt."""
    n, p = x.shape
    dtype = working_dtype(x.dtype)
    gram = torch.zeros(n, n, dtype=dtype, device=x.device)
    mean_square = torch.zeros((), dtype=dtype, device=x.device)
    inner, sums, mean_sum = torch.zeros_like(gram[0]), torch.zeros_like(gram[0]), torch.zeros_like(mean_square)
    width = max(1, CHUNK_ELEMENTS.get(x.device.type, DEFAULT_CHUNK_ELEMENTS) // max(n, 1))
    with full_precision(x.device.type):
        for start in range(0, p, width):
            chunk = x[:, start : start + width].to(dtype)
            mean = chunk.mean(0)
            chunk = chunk - mean
            gram.addmm_(chunk, chunk.T)
            mean_square += mean @ mean
            if moments:
                inner += chunk @ mean
                sums += chunk.sum(1)
                mean_sum += mean.sum()
    rounding = (CONSTANT_TOLERANCE * torch.finfo(dtype).eps) ** 2 * n * mean_square
    gram.masked_fill_(gram.diagonal().sum() <= rounding, 0.0)
    if not moments:
        return gram, None
    return gram, Moments(inner, mean_square, sums + mean_sum, mean_sum, p)


def same_class_gram(labels: Tensor) -> Tensor:
    """Class labels (n, 1) -> the centred Gram matrix (n, n) of their indicators: K_ij = 1 in one class, 0 across.

    >>> same_class_gram(torch.tensor([[3], [3], [5], [5]]))[0]
    tensor([ 0.5000,  0.5000, -0.5000, -0.5000])
    """
    same = (labels == labels.T).float()
    same = same - same.mean(0)
    return same - same.mean(1, keepdim=True)
