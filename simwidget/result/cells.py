"""`Cells`: the values of one measure for two models. `MeasureInfo`: the description of a measure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cells:
    """Values, standard errors and reliability flags of one measure for one pair of models.

    All arrays are (layers of the first model, layers of the second model) and read-only.
    """

    values: NDArray[np.float64]
    stderr: NDArray[np.float64]
    """jackknife standard errors of `values`; NaN if fewer than two of the jackknife's groups of batches have data"""
    dominated: NDArray[np.bool_]
    """True where the standard error is unreliable because a single group of batches in the jackknife contributes more
    than half of the variance"""

    def __post_init__(self) -> None:
        for array in (self.values, self.stderr, self.dominated):
            array.setflags(write=False)

    @property
    def swapped(self) -> "Cells":
        """The same numbers with the two models in the opposite order: all arrays transposed."""
        return Cells(self.values.T, self.stderr.T, self.dominated.T)


@dataclass(frozen=True)
class MeasureInfo:
    """The description of a measure, or of a difference of two measures."""

    title: str
    """the display name of the measure, such as "dCKA" """
    kind: str
    """ "similarity" (high values mean that two layers are alike), "distance" (low values mean that two layers are
    alike) or "difference" (one measure minus another)"""
    df: float
    """degrees of freedom of Student's t distribution for confidence intervals, the same for every pair of layers; NaN
    if fewer than two of the jackknife's groups of batches have data"""
    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """model name -> layer name -> the reason why all values of the layer are NaN"""
