"""A snapshot of a pass over the data, from which results and displays are computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from simwidget.estimate.accumulators import Sums
from simwidget.estimate.history import HistoryPoint
from simwidget.estimate.totals import Undefined
from simwidget.gram.centring import MIN_RESIDUAL_SHARE, MIN_RESIDUAL_SHARE_REDUCED
from simwidget.gram.row_maps import RowMap
from simwidget.gram.rows import Row
from simwidget.inspection.extremes import Extremes, Pair
from simwidget.inspection.latest_block import LatestBlock


@dataclass(frozen=True)
class PassState:
    """The state of a pass at one moment; it does not change later."""

    sums: dict[RowMap, Sums]
    """for each row map the sums of the rows' products"""
    undefined: dict[RowMap, Undefined]
    """for each row map where rows were not defined"""
    rows: tuple[Row, ...]
    """(R,): those of the confounders first"""
    layers: tuple[tuple[int, ...], ...]
    """for each model the indices of its rows, in execution order"""
    n_batches: int
    """batches of the loader that have gone through the models"""
    n_samples: int
    """samples in the sums"""
    notes: tuple[str, ...]
    """what readers of the result must know"""
    history: dict[RowMap, tuple[HistoryPoint, ...]] = field(default_factory=dict)
    """for each row map the sums after some of the batches, in order"""
    latest: LatestBlock | None = None
    """the Gram matrices of the latest block of samples"""
    watched: dict[Pair, Extremes | None] = field(default_factory=dict)
    """for each watched pair the samples on which its layers agree least and most"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """facts about models and layers that the pass found, for the provenance"""


def tolerances(rows: Sequence[Row]) -> Tensor:
    """(R,) float64: the share of each row's variance that must remain after regression on the confounders."""
    return torch.tensor(
        [MIN_RESIDUAL_SHARE_REDUCED if row.reduced else MIN_RESIDUAL_SHARE for row in rows], dtype=torch.float64
    )
