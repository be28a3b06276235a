"""`BlockNumbers`: a few numbers of the Gram matrices of a run's first block, to recognise it when it is run again."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.files.fields import MalformedError

N_FORMS = 3
"""Quadratic forms of each Gram matrix."""
CHUNK_ELEMENTS = 2**22
"""Elements of the Gram matrices that are converted to float64 at a time."""


@dataclass(frozen=True)
class BlockNumbers:
    """Traces of the Gram matrices of one block of samples, and their quadratic forms with fixed vectors of signs."""

    n: int
    """samples in the block"""
    numbers: Tensor
    """(R, 1 + N_FORMS) float64: for each row the trace of its Gram matrix K, and v^T K v for `N_FORMS` vectors v"""

    @staticmethod
    def of(stack: Tensor) -> "BlockNumbers":
        """The numbers of Gram matrices (R, n, n)."""
        n = stack.shape[-1]
        signs = _signs(n, stack.device)
        size = max(1, CHUNK_ELEMENTS // max(1, n * n))
        forms = [(signs * (part.double() @ signs)).sum(1) for part in stack.split(size)]
        traces = stack.diagonal(dim1=1, dim2=2).double().sum(1)
        return BlockNumbers(n, torch.cat([traces[:, None], torch.cat(forms)], 1))

    def arrays(self) -> dict[str, Tensor]:
        """The numbers as named tensors for a checkpoint; `from_arrays` reads them."""
        return {"first/n": torch.tensor(self.n), "first/numbers": self.numbers}

    @staticmethod
    def from_arrays(arrays: Mapping[str, Tensor], n_rows: int) -> "BlockNumbers":
        """The numbers from `arrays()` of a run with so many rows; raises MalformedError for anything else."""
        n, numbers = arrays.get("first/n"), arrays.get("first/numbers")
        if n is None or n.dtype != torch.int64 or n.shape != ():
            raise MalformedError("its array 'first/n' does not fit this run")
        if numbers is None or numbers.dtype != torch.float64 or numbers.shape != (n_rows, 1 + N_FORMS):
            raise MalformedError("its array 'first/numbers' does not fit this run")
        return BlockNumbers(int(n), numbers)


def _signs(n: int, device: torch.device) -> Tensor:
    """(n, N_FORMS) float64 of 1 and -1: bits of a multiplicative hash, the same on every device."""
    k = torch.arange(n, device=device)[:, None]
    shifts = torch.arange(N_FORMS, device=device) + 20
    return 1.0 - 2.0 * (((k * k % 65521 + k) * 2654435761 >> shifts) & 1).double()
