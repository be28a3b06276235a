"""Tells a representation that varies from one that is constant but for rounding errors.

Values near an offset c are about e |c| apart, with e the machine epsilon, and a network computes them with errors of up
to about 6 e |c| in the mean over a layer: so much do torchvision's networks differ between float32 and float64. A
smaller spread may be rounding, and the values alone cannot tell. The test is made feature by feature, because one
feature with a large offset says nothing about the others.
"""

from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

CONSTANT_TOLERANCE = 8
"""A feature may be constant but for rounding if its standard deviation is at most `CONSTANT_TOLERANCE` e |c|. Here e is
the machine epsilon, and c is the feature's mean."""

LARGEST_SHARE = {dtype: (CONSTANT_TOLERANCE * torch.finfo(dtype).eps) ** 2 for dtype in (torch.float32, torch.float64)}
"""The same limit by dtype of the Gram matrices: the largest variance that may be rounding, as a share of c^2."""

MIN_UNCERTAIN_SHARE = 1e-3
"""Features that may be constant are reported only if they have at least this share of the layer's total variance."""

CHUNK_ELEMENTS = 2**21
"""Largest number of elements of a representation that are converted to float64 at a time."""


class Rounding(NamedTuple):
    """What rounding errors may have done to a representation."""

    is_constant: bool
    """whether the representation counts as constant but for rounding"""
    is_uncertain: bool
    """whether a noticeable share of the variance, see `MIN_UNCERTAIN_SHARE`, may be nothing but rounding"""


def may_be_rounding(gram: Tensor, square: Tensor) -> bool:
    """Whether a noticeable part of a Gram matrix (n, n) may come from rounding errors; if so, call `find_rounding`.

    `square` is the squared norm of the offset that the kernel subtracted. This test is fast and needs no features. It
    reads values, so it would wait for a GPU.
    """
    largest = LARGEST_SHARE[gram.dtype] * gram.shape[0] * square.item()
    trace = gram.trace().item()
    return 0 < trace < inf and trace <= largest / MIN_UNCERTAIN_SHARE


def find_rounding(x: Tensor, dtype: torch.dtype) -> Rounding:
    """Find out which features of a representation x (n, p) may be constant but for rounding in `dtype`.

    The representation counts as constant if the variance of the other features could also be rounding errors, at a
    typical offset in this layer. A feature whose own offset is small by chance would else count as varying. The typical
    offset is the lower quartile of those that are not zero, so that a few large offsets do not matter.
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
