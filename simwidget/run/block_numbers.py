"""`BlockNumbers`: a few numbers computed from the Gram matrices of a run's first block of samples.

A checkpoint contains these numbers. When the run is resumed, they are computed again and compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.files.fields import MalformedError

N_FORMS = 3
"""The number of quadratic forms that are computed for each Gram matrix."""
CHUNK_ELEMENTS = 2**22
"""The largest number of elements of Gram matrices that are converted to float64 at a time; a larger single Gram matrix
is converted as a whole."""


@dataclass(frozen=True)
class BlockNumbers:
    """For each Gram matrix of one block of samples: the trace, and quadratic forms with fixed vectors of signs."""

    n: int
    """number of samples in the block"""
    numbers: Tensor
    """(R, 1 + N_FORMS) float64: for each Gram matrix K the trace, and v^T K v for `N_FORMS` vectors v of 1 and -1"""

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
        """Return the numbers as named tensors for a checkpoint, which `from_arrays` reads."""
        return {"first/n": torch.tensor(self.n), "first/numbers": self.numbers}

    @staticmethod
    def from_arrays(arrays: Mapping[str, Tensor], n_rows: int) -> "BlockNumbers":
        """Read the numbers from `arrays`, which the method `arrays` returned in a run with `n_rows` Gram matrices.

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
    """Return the vectors of signs (n, N_FORMS), float64: 1 or -1 for each bit of a multiplicative hash.

    The vectors are the same on every device.
    """
    k = torch.arange(n, device=device)[:, None]
    shifts = torch.arange(N_FORMS, device=device) + 20
    return 1.0 - 2.0 * (((k * k % 65521 + k) * 2654435761 >> shifts) & 1).double()
