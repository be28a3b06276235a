"""Computes the inner products of all pairs of rows of a matrix, in the way that is fastest on the device.

The result is symmetric. Therefore only its lower triangle is needed. `Products` computes this triangle in blocks of
consecutive rows, and `mirror` copies it to the upper triangle.
"""

import itertools
import math
from functools import cache

import torch
from torch import Tensor

from simwidget.gram.cpu import is_from_intel

MIN_BLOCK_ROWS = {"cpu": 32}
"""By device type, the smallest number of rows in a block. For other device types, the matrix is not divided."""
MAX_BLOCKS = 4
"""Largest number of blocks of rows into which a matrix is divided."""
BLOCKS_BY_WORK = ((2**24, 2), (2**26, MAX_BLOCKS))
"""Pairs (w, b): a product with at least w multiplications is computed in up to b blocks of rows. A product with fewer
multiplications than the smallest w is not divided, because it would take longer in blocks."""

MIN_PART_FEATURES = 2048
"""The features of a product are split into parts only if each part has at least this many features."""


class Products:
    """Computes the inner products of all pairs of rows of one buffer (n, p).

    The values in the buffer may change between two calls of `write`. The constructor divides the product into blocks of
    rows and parts of features. This division depends on the shape, the device and the number of threads.
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
        """Write the inner products into the lower triangle of `gram` (n, n).

        With `add`, the inner products are added to the elements of the lower triangle. Afterwards the elements above
        the diagonal are undefined until `mirror` overwrites them.
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
    """Make matrices (..., n, n) symmetric, in place, by copying the lower triangle to the upper triangle.

    All elements above the diagonal are overwritten, even those that `Products` has computed. Such an element may differ
    in the last bit from its mirror image, because no library guarantees a symmetric product.
    """
    for low, high in row_blocks(grams.shape[-1], grams.device.type):
        grams[..., :low, low:high] = grams[..., low:high, :low].mT
        block = grams[..., low:high, low:high]
        is_lower = torch.ones(block.shape[-2:], dtype=torch.bool, device=grams.device).tril()
        block.copy_(torch.where(is_lower, block, block.mT))


@cache
def row_blocks(n: int, device_type: str, max_blocks: int = MAX_BLOCKS) -> tuple[tuple[int, int], ...]:
    """Divide n rows into at most `max_blocks` blocks of consecutive rows, and return the range (low, high) of each.

    A block has the rows from `low` to `high` - 1. Every boundary between blocks is also a boundary in the division with
    the default `max_blocks`.
    """
    min_rows = MIN_BLOCK_ROWS.get(device_type)
    count = 1 if min_rows is None else max(1, min(MAX_BLOCKS, n // min_rows))
    step = math.ceil(count / max_blocks)
    ends = [n * k // count for k in range(count + 1)]
    return tuple(itertools.pairwise([*ends[:-1:step], n]))


def max_parts(device_type: str) -> int:
    """Return the largest number of parts into which features are split to compute a product in parallel.

    On CPUs that are not made by Intel, MKL computes a product of a few rows on a single thread. For MKL on these CPUs,
    the result is the smallest power of two that is at least 4 and at least the number of threads. In all other cases
    the result is 1, that is, the features are not split.
    """
    if device_type != "cpu" or not torch.backends.mkl.is_available() or is_from_intel():
        return 1
    return max(4, 1 << (torch.get_num_threads() - 1).bit_length())
