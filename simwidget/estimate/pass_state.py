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
    """A snapshot of one pass over the data: the sums so far, for R rows (confounders and layers). It never changes."""

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
    """the Gram matrices of the latest block of samples"""
    watched: dict[Pair, Extremes | None] = field(default_factory=dict)
    """for each pair of layers that is being inspected, the samples on which the two layers agree least and most"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """facts about models and layers found during the pass, for the provenance of the result"""


def tolerances(rows: Sequence[Row]) -> Tensor:
    """Return, for each of R rows, the smallest share of variance that must be left after regression on the confounders.

    A layer with a smaller share counts as explained by the confounders. The result is float64 (R,).
    """
    return torch.tensor(
        [MIN_RESIDUAL_SHARE_REDUCED if row.reduced else MIN_RESIDUAL_SHARE for row in rows], dtype=torch.float64
    )
