"""`PassState`: a snapshot of one pass over the data, from which results and displays are computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from simwidget.estimate.accumulators import Sums
from simwidget.estimate.history import HistoryPoint
from simwidget.estimate.undefined import Undefined
from simwidget.gram.centring import MIN_RESIDUAL_SHARE, MIN_RESIDUAL_SHARE_REDUCED
from simwidget.gram.row_maps import RowMap
from simwidget.gram.rows import Row
from simwidget.inspection.extremes import Extremes, Pair
from simwidget.inspection.latest_block import LatestBlock


@dataclass(frozen=True)
class PassState:
    """A snapshot of one pass over the data, with the sums so far for R rows (confounders and layers).

    Later batches do not change the snapshot.
    """

    sums: dict[RowMap, Sums]
    """for each row map, the summed products of the rows"""
    undefined: dict[RowMap, Undefined]
    """for each row map, the batch in which each row was first undefined"""
    rows: tuple[Row, ...]
    """(R,): descriptions of the rows, confounders first"""
    layers: tuple[tuple[int, ...], ...]
    """for each model, the indices of its layers in `rows`, in execution order"""
    n_batches: int
    """number of batches of the loader that have gone through the models"""
    n_samples: int
    """number of samples in the sums"""
    notes: tuple[str, ...]
    """notes for readers of the result"""
    history: dict[RowMap, tuple[HistoryPoint, ...]] = field(default_factory=dict)
    """for each row map, the sums at earlier moments, in order of time"""
    latest: LatestBlock | None = None
    """the latest block of samples with its Gram matrices; None if there is none yet"""
    watched: dict[Pair, Extremes | None] = field(default_factory=dict)
    """for each pair of layers that the user inspects, the samples on which the two layers agree least and most; None
    for a pair that has not been compared on any block yet"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """facts about models and layers found during the pass, for the provenance of the result"""


def tolerances(rows: Sequence[Row]) -> Tensor:
    """Return the smallest allowed share of residual variance for each of R rows, as float64 (R,).

    If the regression on the confounders leaves a smaller share of a layer's variance, the layer counts as explained by
    the confounders.
    """
    return torch.tensor(
        [MIN_RESIDUAL_SHARE_REDUCED if row.reduced else MIN_RESIDUAL_SHARE for row in rows], dtype=torch.float64
    )
