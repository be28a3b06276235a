"""What two layers make of the samples: the frozen value that displays get. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample on which two layers agree least or most."""

    index: int
    """its place in the pass, from 0, among all samples that the loader gave"""
    label: int | None
    value: float
    """how far the layers agree: the cosine of its rows of the two centred Gram matrices, from -1 to 1"""
    thumbnail: NDArray[np.uint8] | None
    """(h, w, c), where the input is an image; its own least and largest value are 0 and 255"""


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """Two layers at one moment of a run: what they make of the m samples of its latest batch, and of single ones.

    Where the loader gives labels, the Gram matrices are sorted by them, and within a label by place.
    """

    model_x: str
    layer_x: str
    model_y: str
    layer_y: str
    gram_x: NDArray[np.float32]
    """(m, m), features centred"""
    gram_y: NDArray[np.float32]
    samples: NDArray[np.int64]
    """(m,): the sample of each row, by its place in the pass"""
    labels: NDArray[np.int64] | None
    """(m,)"""
    spectrum_x: NDArray[np.float64]
    """(m,): the eigenvalues over their sum, the largest first; NaN where the Gram matrix is not finite"""
    spectrum_y: NDArray[np.float64]
    dimension_x: float
    """the effective dimension: the participation ratio of the eigenvalues, from 1 to m - 1; NaN without variance"""
    dimension_y: float
    least: tuple[Sample, ...]
    """up to 12 samples on which the layers agree least, the least agreed first"""
    most: tuple[Sample, ...]
    """up to 12 samples on which they agree most, the most agreed first"""
    n_compared: int
    """samples among which those were found: of the batch at which the pair was first asked for, and of all since"""

    @property
    def n_samples(self) -> int:
        """The m samples on which the Gram matrices and spectra rest."""
        return len(self.samples)

    def __repr__(self) -> str:
        x, y = f"{self.layer_x} of {self.model_x}", f"{self.layer_y} of {self.model_y}"
        return f"<Inspection {x} × {y}: {self.n_samples} samples, {self.n_compared} compared>"


def sort_by_label(labels: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.int64] | None]:
    """An order (m,) by label that keeps the order within a label, and the labels in it.

    Without a label for every sample (NaN) the order stays as it is, and there are none.

    >>> import numpy as np
    >>> sort_by_label(np.array([1.0, 0.0, 1.0, 0.0]))
    (array([1, 3, 0, 2]), array([0, 0, 1, 1]))
    """
    if np.isnan(labels).any():
        return np.arange(len(labels)), None
    order = np.argsort(labels, kind="stable")
    return order, labels[order].astype(np.int64)


def effective_dimension(spectrum: Sequence[float] | NDArray[np.float64]) -> float:
    r"""The participation ratio :math:`(\sum \lambda)^2 / \sum \lambda^2`, from 1 to n; NaN without variance.

    >>> effective_dimension([0.5, 0.5, 0.0])
    2.0
    """
    spectrum = np.asarray(spectrum, dtype=np.float64)
    squares = float((spectrum**2).sum())
    return float(spectrum.sum()) ** 2 / squares if squares else float("nan")
