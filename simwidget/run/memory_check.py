"""A warning when a run will hardly fit into memory, before it takes the memory."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from simwidget.estimate.totals import Totals
from simwidget.plan.memory import bytes_free, estimate_memory, memory_warning
from simwidget.run.row_table import RowTable

MUCH_LARGER = 1.5
"""A run that needs this many times what the first warning said gets another one."""


class MemoryCheck:
    """Follows the first forward passes, and warns once what is known of the run is more than fits into memory.

    The least number of rows and the size of a Gram matrix are known before the first is allocated. The size of the
    representations that are kept for joining shows layer by layer, and so does how often each layer runs.

    Args:
        rows: the rows so far.
        totals: the sums, which are not allocated yet.
        gram_batch: the least number of samples of a Gram matrix.
        device: where Gram matrices and sums are.
        note: called with the text of a warning; a later text replaces an earlier one.
    """

    def __init__(
        self, rows: RowTable, totals: Totals, gram_batch: int, device: torch.device, note: Callable[[str], None]
    ) -> None:
        self._rows = rows
        self._totals = totals
        self._gram_batch = gram_batch
        self._device = device
        self._note = note
        self._n = 1
        self._waiting = 0
        self._itemsize = 4
        self._free: int | None = None
        self._warned_of = 0
        """bytes that the latest warning named"""
        self.warned: tuple[str, ...] = ()
        """the warnings so far"""

    def begin(self, n: int) -> None:
        """Begin a first forward pass over n samples: what is free now is what the run may take."""
        self._n = max(1, n)
        self._waiting = 0
        self._itemsize = 8 if self._totals.uses_float64 else 4
        self._free = bytes_free(self._device)

    def add(self, x: Tensor, is_new: bool) -> None:
        """Count a representation (n, p) that has a row; called before it is copied or multiplied.

        Args:
            x: the representation.
            is_new: whether it is kept by itself: no earlier one of this forward pass is the same tensor.
        """
        if x.dtype == torch.float64:
            self._itemsize = 8
        if is_new:
            self._waiting += x.numel() * x.element_size()
        if not self._warned_of:
            self.check()

    def check(self) -> None:
        """Warn if what is known so far is too much, and much more than was said before."""
        n = max(self._n, self._gram_batch)
        need = estimate_memory(
            self._rows.n_expected,
            n,
            n_row_maps=len(self._totals.row_maps),
            pending_bytes=self._waiting * (n - self._n) // self._n,
            joins_batches=self._n < self._gram_batch,
            itemsize=self._itemsize,
        )
        problem = memory_warning(need, self._free, self._rows.n_expected, n)
        if problem is not None and need.total > MUCH_LARGER * self._warned_of:
            self._warned_of = need.total
            self._note(problem)
            self.warned += (problem,)
            warnings.warn(problem, stacklevel=2)
