"""The numbers of one measure on one pair of models, and the description of a measure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cells:
    """One measure on one pair of models; all arrays are (layers of the first, layers of the second)."""

    values: NDArray[np.float64]
    stderr: NDArray[np.float64]
    """NaN with fewer than two groups of batches"""
    dominated: NDArray[np.bool_]
    """cells of which one group of batches contributes more than half of the variance"""

    def __post_init__(self) -> None:
        for array in (self.values, self.stderr, self.dominated):
            array.setflags(write=False)

    @property
    def swapped(self) -> "Cells":
        """The cells of the pair in the other order."""
        return Cells(self.values.T, self.stderr.T, self.dominated.T)


@dataclass(frozen=True)
class MeasureInfo:
    """What readers must know about a measure: its name, its direction, its degrees of freedom, and missing layers."""

    title: str
    """how displays write the name"""
    kind: str
    """whether high values ("similarity") or low values ("distance") mean that two layers are alike; or "difference",
    one measure minus another"""
    df: float
    """degrees of freedom of the t intervals, the same for every pair of layers; NaN with fewer than two groups"""
    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """model -> layer -> why all cells of the layer are NaN"""
