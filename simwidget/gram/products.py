"""The matrix of inner products of rows, computed in the way that is fastest on the processor.

The matrix is symmetric: only its lower triangle is computed, in blocks of rows, and mirrored at the end.
"""

import itertools
import math
from functools import cache

import torch
from torch import Tensor

from simwidget.gram.cpu import is_from_intel

MIN_BLOCK_ROWS = {"cpu": 32}
"""By device type, the smallest number of rows of a block; on other device types the matrix is one block."""
MAX_BLOCKS = 4
"""Largest number of blocks of rows."""
BLOCKS_BY_WORK = ((2**24, 2), (2**26, MAX_BLOCKS))
"""(multiplications, blocks): products with at least so many multiplications are computed in so many blocks. With fewer,
the blocks cost more time than computing half of the matrix saves."""

MIN_PART_FEATURES = 2048
"""Smallest number of features of a part of a product."""


class Products:
    """Computes the inner products of the rows of one buffer (n, p), each time it has been filled with new values.

    How the product is split depends on the shape alone and is decided once, when the object is made.
    """

    def __init__(self, rows: Tensor) -> None:
        n, p = rows.shape
        parts = math.gcd(p, max_parts(rows.device.type))
        self._in_parts = parts > 1 and p >= parts * MIN_PART_FEATURES
        split = rows.unflatten(1, (parts, p // parts)).transpose(0, 1) if self._in_parts else rows
        max_blocks = max((count for work, count in BLOCKS_BY_WORK if n * n * p >= work), default=1)
        blocks = row_blocks(n, rows.device.type, max_blocks)
        self._whole = len(blocks) == 1
        self._blocks = [(low, high, split[..., low:high, :], split[..., :high, :].mT) for low, high in blocks]

    def write(self, gram: Tensor, add: bool) -> None:
        """Write the lower triangle of the inner products into `gram` (n, n), or add it to the present values.

        Elements above the diagonal may be written as well; `mirror` overwrites them.
        """
        for low, high, left, right in self._blocks:
            out = gram if self._whole else gram[low:high, :high]
            if not self._in_parts:
                if add:
                    out.addmm_(left, right)
                else:
                    torch.mm(left, right, out=out)
            elif add:
                out += torch.bmm(left, right).sum(0)
            else:
                torch.sum(torch.bmm(left, right), 0, out=out)


def mirror(grams: Tensor) -> None:
    """Make matrices (..., n, n) symmetric, in place, by copying the lower triangle to the upper one.

    This includes the elements within a block, where a product may be unsymmetric in the last bit: no library guarantees
    a symmetric result.
    """
    for low, high in row_blocks(grams.shape[-1], grams.device.type):
        grams[..., :low, low:high] = grams[..., low:high, :low].mT
        block = grams[..., low:high, low:high]
        block.copy_(block.tril() + block.tril(-1).mT)


@cache
def row_blocks(n: int, device_type: str, max_blocks: int = MAX_BLOCKS) -> tuple[tuple[int, int], ...]:
    """The blocks of rows [low, high), at most `max_blocks`; each is multiplied with all rows before `high`.

    Their boundaries are a subset of those of the finest division, into `MAX_BLOCKS` blocks, so that `mirror` can always
    use the finest one.
    """
    min_rows = MIN_BLOCK_ROWS.get(device_type)
    count = 1 if min_rows is None else max(1, min(MAX_BLOCKS, n // min_rows))
    step = math.ceil(count / max_blocks)
    ends = [n * k // count for k in range(count + 1)]
    return tuple(itertools.pairwise([*ends[:-1:step], n]))


def max_parts(device_type: str) -> int:
    """Number of parts into which the features are split: a power of two no smaller than the number of threads, or 1.

    Unless the CPU is made by Intel, MKL computes a product of a few rows on a single thread; the parts are computed in
    parallel. On other device types, and without MKL, the features are not split.
    """
    if device_type != "cpu" or not torch.backends.mkl.is_available() or is_from_intel():
        return 1
    return max(4, 1 << (torch.get_num_threads() - 1).bit_length())
