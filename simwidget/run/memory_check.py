"""`MemoryCheck`: estimates in advance how much memory a run needs, and warns if too little is free."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from simwidget.estimate.totals import Totals
from simwidget.plan.memory import bytes_free, estimate_memory, memory_warning
from simwidget.run.row_table import RowTable

MUCH_LARGER = 1.5
"""After a warning, a further warning is issued only if the estimate has grown by more than this factor."""


class MemoryCheck:
    """Estimates, during the first forward passes, how much memory a run needs, and warns if too little is free.

    At first, the estimate assumes the smallest possible number of rows (layers and confounders) and of samples in a
    Gram matrix. A representation increases the estimate if it adds a row or if it is float64. If several
    batches are joined into one Gram matrix, the estimate includes the representations that are kept until the last of
    these batches.

    Args:
        rows: the table of layers and confounders; the table grows during the first forward passes.
        totals: the summed products of Gram matrices; their memory is not allocated yet.
        gram_batch: the least number of samples of a Gram matrix.
        device: where Gram matrices and sums are stored.
        note: called with the text of each warning. In the notes of the result, the text replaces that of an earlier
            warning.
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
        """the estimate, in bytes, at the time of the latest warning; 0 before the first warning"""
        self.warned: tuple[str, ...] = ()
        """the texts of the warnings so far"""

    def begin(self, n: int) -> None:
        """Start a new estimate for forward passes over n samples, and store how much memory is free now."""
        self._n = max(1, n)
        self._waiting = 0
        self._itemsize = 8 if self._totals.uses_float64 else 4
        self._free = bytes_free(self._device)

    def add(self, x: Tensor, is_new: bool) -> None:
        """Add a representation to the estimate; call this before the representation is copied or multiplied.

        Args:
            x: the representation (n, p).
            is_new: False if an earlier representation of this forward pass is the same tensor; both representations
                then share one copy.
        """
        if x.dtype == torch.float64:
            self._itemsize = 8
        if is_new:
            self._waiting += x.numel() * x.element_size()
        if not self._warned_of:
            self.check()

    def check(self) -> None:
        """Warn if the estimate is too large for the free memory.

        After an earlier warning, warn only if the estimate has grown by more than the factor `MUCH_LARGER`.
        """
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
