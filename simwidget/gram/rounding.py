"""Tests whether a representation varies, or is constant up to rounding errors.

Floating-point numbers near a number c are about e |c| apart, where e is the machine epsilon. A network computes values
near c with errors of up to about 6 e |c| in the mean over a layer. This is the difference between float32 and float64
in torchvision's networks. Values with a smaller spread may differ only by rounding errors: the values alone do not show
whether they do. The test is made for each feature, because a feature with a large mean says nothing about the others.
"""

from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

CONSTANT_TOLERANCE = 8
"""A feature may be constant up to rounding errors if its standard deviation is at most `CONSTANT_TOLERANCE` e |c|. Here
e is the machine epsilon, and c is the mean of the feature."""

LARGEST_SHARE = {dtype: (CONSTANT_TOLERANCE * torch.finfo(dtype).eps) ** 2 for dtype in (torch.float32, torch.float64)}
"""For each dtype of the Gram matrices: the largest variance that may be nothing but rounding errors, divided by c^2.

This is the limit of `CONSTANT_TOLERANCE` as a variance.
"""

MIN_UNCERTAIN_SHARE = 1e-3
"""Features that may be constant count only if their variances add up to this share of the layer's total variance."""

CHUNK_ELEMENTS = 2**21
"""The largest number of elements of a representation that are converted to float64 at a time."""


class Rounding(NamedTuple):
    """The result of `find_rounding` for one representation."""

    is_constant: bool
    """whether the representation counts as constant up to rounding errors"""
    is_uncertain: bool
    """whether a noticeable share of the variance (`MIN_UNCERTAIN_SHARE`) may be nothing but rounding errors"""


def may_be_rounding(gram: Tensor, square: Tensor) -> bool:
    """Whether a noticeable share of the variance may be nothing but rounding errors; if so, call `find_rounding`.

    This test is fast, because it does not need the representation. It would wait for a GPU, because it reads values.

    Args:
        gram: the Gram matrix (n, n) of the representation.
        square: (), the squared norm of the offset that the kernel subtracted from each sample.
    """
    largest = LARGEST_SHARE[gram.dtype] * gram.shape[0] * square.item()
    trace = gram.trace().item()
    return 0 < trace < inf and trace <= largest / MIN_UNCERTAIN_SHARE


def find_rounding(x: Tensor, dtype: torch.dtype) -> Rounding:
    """Find out whether a representation x (n, p) may be constant up to rounding errors in `dtype`.

    A feature is uncertain if its variance is within the limit of `LARGEST_SHARE` for its own mean. The representation
    counts as constant if the variance of all other features is within this limit for a typical mean of the layer. This
    covers features whose own mean is small by chance. The typical mean is the lower quartile of the absolute values of
    the means that are not zero, so that a few large means do not matter.

    Args:
        x: the representation.
        dtype: the dtype of the products, float32 or float64.
    """
    tolerance = LARGEST_SHARE[dtype]
    chunks = x.split(max(1, CHUNK_ELEMENTS // len(x)), 1)
    moments = [torch.var_mean(chunk.double(), 0, correction=0) for chunk in chunks]
    variances = torch.cat([variance for variance, _ in moments])
    squares = torch.cat([mean for _, mean in moments]).square()
    is_certain = variances > tolerance * squares
    certain, total = variances[is_certain].sum().item(), variances.sum().item()
    offsets = squares[squares > 0]
    typical = offsets.kthvalue((len(offsets) + 3) // 4).values.item() if len(offsets) else 0.0
    is_constant = certain <= tolerance * len(squares) * typical
    return Rounding(is_constant, is_constant or total - certain >= MIN_UNCERTAIN_SHARE * total)
