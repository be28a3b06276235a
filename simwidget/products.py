"""Rows of features -> their inner products, in the way that the processor does best.

The matrix is symmetric: it is made in blocks of rows, each up to the diagonal, and mirrored once for all.
"""

import itertools
import math
from functools import cache

import torch
from torch import Tensor

from simwidget.processor import is_from_intel

BLOCK_SAMPLES = {"cpu": 32}
"""A Gram matrix is made in blocks of at least so many rows; elsewhere in one."""
MOST_BLOCKS = 4

LEAST_PART = 512
"""Features that a part of a product has at least."""


class Products:
    """The inner products of rows (n, p) that lie in one place, as often as they change there.

    What is worked out from their shape is worked out once.
    """

    def __init__(self, rows: Tensor) -> None:
        n, p = rows.shape
        parts = math.gcd(p, parts_at_most(rows.device.type))
        self._in_parts = parts > 1 and p >= parts * LEAST_PART
        split = rows.unflatten(1, (parts, p // parts)).transpose(0, 1) if self._in_parts else rows
        self._blocks = [
            (low, high, split[..., low:high, :], split[..., :high, :].mT)
            for low, high in row_blocks(n, rows.device.type)
        ]

    def write(self, gram: Tensor, add: bool) -> None:
        """Write them into the blocks up to the diagonal of a Gram matrix (n, n), or add them to what is there."""
        for low, high, left, right in self._blocks:
            out = gram if low == 0 and high == len(gram) else gram[low:high, :high]
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
    """Complete Gram matrices (R, n, n), in place, from their blocks up to the diagonal."""
    for low, high in row_blocks(grams.shape[-1], grams.device.type)[1:]:
        grams[:, :low, low:high] = grams[:, low:high, :low].mT


@cache
def row_blocks(n: int, device_type: str) -> tuple[tuple[int, int], ...]:
    """The rows from `low` to `high` that are multiplied at a time, with all samples before `high`."""
    least = BLOCK_SAMPLES.get(device_type)
    count = 1 if least is None else max(1, min(MOST_BLOCKS, n // least))
    return tuple(itertools.pairwise(n * k // count for k in range(count + 1)))


def parts_at_most(device_type: str) -> int:
    """In how many parts the features are multiplied: a power of two, no fewer than a CPU's threads, or one.

    MKL runs a product of a few rows on one thread alone unless the CPU is Intel's; parts keep all of them busy.
    """
    if device_type != "cpu" or not torch.backends.mkl.is_available() or is_from_intel():
        return 1
    return max(4, 1 << (torch.get_num_threads() - 1).bit_length())
