"""Computes the spectrum of a Gram matrix: its normalised eigenvalues."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def gram_spectrum(gram: Tensor) -> NDArray[np.float64]:
    """Return the eigenvalues (n,) of a centred Gram matrix (n, n), divided by their sum, in descending order.

    Negative eigenvalues are first set to 0. The result is all zeros if the matrix is zero, and all NaN if the matrix is
    not finite. The eigenvalues are not computed by NumPy, because its worker threads would keep spinning and slow the
    run. torch uses only as many cores as the calling thread may use.

    >>> gram_spectrum(torch.tensor([1.0, 3.0, 0.0]).diag())
    array([0.75, 0.25, 0.  ])
    """
    if not gram.isfinite().all():
        return np.full(len(gram), np.nan)
    values = torch.linalg.eigvalsh(gram.double()).flip(0).clamp_(min=0.0)
    total = values.sum()
    return (values / total if total > 0 else values).numpy()
