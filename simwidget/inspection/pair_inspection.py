"""`Inspection`: the Gram matrices, spectra and extreme samples of a pair of layers, in NumPy. Never imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """One of the samples on which two layers agree least or most."""

    index: int
    """index of the sample among all samples of the loader, from 0"""
    label: int | None
    """class label of the sample; None if the sample has no label"""
    value: float
    """the agreement: the cosine of the sample's rows in the two centred Gram matrices, from -1 to 1"""
    thumbnail: NDArray[np.uint8] | None
    """(height, width, channels): a small copy of the sample's image, scaled to the range 0 to 255; None if missing"""


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """A pair of layers at one moment of a run: their Gram matrices and spectra, and extreme samples.

    The Gram matrices and spectra are those of m samples of the latest batches. If all samples have labels, the rows and
    columns of the Gram matrices are sorted by label, and by index among samples of the same label. The extreme samples
    are those on which the two layers agree least and most.
    """

    model_x: str
    layer_x: str
    model_y: str
    layer_y: str
    gram_x: NDArray[np.float32]
    """(m, m): the Gram matrix of the first layer, with centred features"""
    gram_y: NDArray[np.float32]
    """(m, m): the Gram matrix of the second layer, with centred features"""
    samples: NDArray[np.int64]
    """(m,): for each row of the Gram matrices, the index of the row's sample among all samples of the loader"""
    labels: NDArray[np.int64] | None
    """(m,): the class label of the sample of each row of the Gram matrices; None if not all samples have labels"""
    spectrum_x: NDArray[np.float64]
    """(m,): the eigenvalues of `gram_x` divided by their sum, in descending order; NaN if the matrix is not finite"""
    spectrum_y: NDArray[np.float64]
    """(m,): the eigenvalues of `gram_y` divided by their sum, in descending order; NaN if the matrix is not finite"""
    dimension_x: float
    """effective dimension: (Σλ)² / Σλ² of the eigenvalues λ of `gram_x`, from 1 to m - 1; NaN if all eigenvalues are
    zero or the matrix is not finite"""
    dimension_y: float
    """effective dimension: (Σλ)² / Σλ² of the eigenvalues λ of `gram_y`, from 1 to m - 1; NaN if all eigenvalues are
    zero or the matrix is not finite"""
    least: tuple[Sample, ...]
    """up to 12 samples on which the layers agree least, in ascending order of agreement"""
    most: tuple[Sample, ...]
    """up to 12 samples on which the layers agree most, in descending order of agreement"""
    n_compared: int
    """number of samples from which `least` and `most` were chosen. These are the samples of the batches that were the
    latest when the pair was first inspected, and of all later batches. Samples without a defined agreement do not
    count."""

    @property
    def n_samples(self) -> int:
        """The number m of samples in the Gram matrices."""
        return len(self.samples)

    def __repr__(self) -> str:
        x, y = f"{self.layer_x} of {self.model_x}", f"{self.layer_y} of {self.model_y}"
        return f"<Inspection {x} × {y}: {self.n_samples} samples, {self.n_compared} compared>"


def sort_by_label(labels: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.int64] | None]:
    """Return the permutation (m,) that sorts samples by their `labels` (m,), and the sorted labels (m,).

    Samples of the same label keep their order. If any sample has no label (NaN), return the identity permutation and
    None.

    >>> import numpy as np
    >>> sort_by_label(np.array([1.0, 0.0, 1.0, 0.0]))
    (array([1, 3, 0, 2]), array([0, 0, 1, 1]))
    """
    if np.isnan(labels).any():
        return np.arange(len(labels)), None
    order = np.argsort(labels, kind="stable")
    return order, labels[order].astype(np.int64)


def effective_dimension(spectrum: Sequence[float] | NDArray[np.float64]) -> float:
    r"""Return the participation ratio :math:`(\sum \lambda)^2 / \sum \lambda^2` of n eigenvalues, from 1 to n.

    The ratio is NaN if all eigenvalues are zero or if one is NaN.

    >>> effective_dimension([0.5, 0.5, 0.0])
    2.0
    """
    spectrum = np.asarray(spectrum, dtype=np.float64)
    squares = float((spectrum**2).sum())
    return float(spectrum.sum()) ** 2 / squares if squares else float("nan")
