"""Rows of features -> their inner products, in the way that the processor does best.

The matrix is symmetric: it is made in blocks of rows, each up to the diagonal, and mirrored once for all.
"""

import itertools
import math
from functools import cache

import torch
from torch import Tensor

from simwidget.gram.processor import is_from_intel

MIN_BLOCK_ROWS = {"cpu": 32}
"""A block has at least so many rows; elsewhere there is one."""
MAX_BLOCKS = 4
BLOCKS_BY_WORK = ((2**24, 2), (2**26, MAX_BLOCKS))
"""From so many multiplications on in how many blocks: what each costs must be less than what half the work saves."""

MIN_PART_FEATURES = 2048
"""Features that a part of a product has at least."""


class Products:
    """The inner products of rows (n, p) that lie in one place, as often as they change there.

    What is worked out from their shape is worked out once.
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
        """Write them into the blocks up to the diagonal of a matrix (n, n), or add them to what is there."""
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
    """Complete matrices of inner products (..., n, n), in place, from what is below the diagonal.

    Within a block as well, where what is above it may differ in the last bit: no library promises a symmetric product.
    """
    for low, high in row_blocks(grams.shape[-1], grams.device.type):
        grams[..., :low, low:high] = grams[..., low:high, :low].mT
        block = grams[..., low:high, low:high]
        block.copy_(block.tril() + block.tril(-1).mT)


@cache
def row_blocks(n: int, device_type: str, max_blocks: int = MAX_BLOCKS) -> tuple[tuple[int, int], ...]:
    """The rows from `low` to `high` that are multiplied at a time, with all rows before `high`.

    They begin and end where some of the most blocks do, so that these may stand for fewer of them.
    """
    min_rows = MIN_BLOCK_ROWS.get(device_type)
    count = 1 if min_rows is None else max(1, min(MAX_BLOCKS, n // min_rows))
    step = math.ceil(count / max_blocks)
    ends = [n * k // count for k in range(count + 1)]
    return tuple(itertools.pairwise([*ends[:-1:step], n]))


def max_parts(device_type: str) -> int:
    """In how many parts the features are multiplied: a power of two, no fewer than a CPU's threads, or one.

    MKL runs a product of a few rows on one thread alone unless the CPU is Intel's; parts keep all of them busy.
    """
    if device_type != "cpu" or not torch.backends.mkl.is_available() or is_from_intel():
        return 1
    return max(4, 1 << (torch.get_num_threads() - 1).bit_length())
