"""`BlockNumbers`: a few numbers computed from the Gram matrices of a run's first block of samples.

A block is the samples of one Gram matrix. A checkpoint contains these numbers. When the run is resumed, the numbers are
computed again and compared with those in the checkpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.files.fields import MalformedError

N_FORMS = 3
"""The number of quadratic forms v^T K v that are computed for each Gram matrix K."""
CHUNK_ELEMENTS = 2**22
"""To save memory, Gram matrices are converted to float64 in chunks of at most this many elements. A larger Gram matrix
is a chunk of its own."""


@dataclass(frozen=True)
class BlockNumbers:
    """For each Gram matrix K of one block: the trace, and v^T K v for fixed vectors v with entries 1 and -1."""

    n: int
    """number of samples in the block"""
    numbers: Tensor
    """(R, 1 + N_FORMS) float64: one row for each of the R Gram matrices K. The row consists of the trace of K, followed
    by v^T K v for each of the `N_FORMS` vectors v"""

    @staticmethod
    def of(stack: Tensor) -> "BlockNumbers":
        """Compute the numbers from the Gram matrices (R, n, n) of a block."""
        n = stack.shape[-1]
        signs = _signs(n, stack.device)
        size = max(1, CHUNK_ELEMENTS // max(1, n * n))
        forms = [(signs * (part.double() @ signs)).sum(1) for part in stack.split(size)]
        traces = stack.diagonal(dim1=1, dim2=2).double().sum(1)
        return BlockNumbers(n, torch.cat([traces[:, None], torch.cat(forms)], 1))

    def arrays(self) -> dict[str, Tensor]:
        """Return this object as named tensors for a checkpoint. `from_arrays` is the inverse."""
        return {"first/n": torch.tensor(self.n), "first/numbers": self.numbers}

    @staticmethod
    def from_arrays(arrays: Mapping[str, Tensor], n_rows: int) -> "BlockNumbers":
        """Return the `BlockNumbers` that the method `arrays` stored in a checkpoint.

        Args:
            arrays: the named tensors of the checkpoint; only "first/n" and "first/numbers" are used.
            n_rows: the number R of Gram matrices in the run.

        Raises:
            MalformedError: a tensor is missing, or has the wrong shape or dtype.
        """
        n, numbers = arrays.get("first/n"), arrays.get("first/numbers")
        if n is None or n.dtype != torch.int64 or n.shape != ():
            raise MalformedError("its array 'first/n' does not fit this run")
        if numbers is None or numbers.dtype != torch.float64 or numbers.shape != (n_rows, 1 + N_FORMS):
            raise MalformedError("its array 'first/numbers' does not fit this run")
        return BlockNumbers(int(n), numbers)


def _signs(n: int, device: torch.device) -> Tensor:
    """Return a float64 tensor (n, N_FORMS). Its columns are fixed pseudo-random vectors with entries 1 and -1.

    The entries are the same on every device.
    """
    k = torch.arange(n, device=device)[:, None]
    shifts = torch.arange(N_FORMS, device=device) + 20
    return 1.0 - 2.0 * (((k * k % 65521 + k) * 2654435761 >> shifts) & 1).double()
