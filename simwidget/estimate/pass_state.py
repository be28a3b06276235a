"""The pass at one moment: what evaluations and displays get of it."""

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
from simwidget.inspection.agreement import Extremes, Pair
from simwidget.inspection.latest_block import LatestBlock


@dataclass(frozen=True)
class PassState:
    """The pass at one moment; nothing in it changes any more."""

    sums: dict[RowMap, Sums]
    undefined: dict[RowMap, Undefined]
    rows: tuple[Row, ...]
    layers: tuple[tuple[int, ...], ...]
    """for each model the indices of its rows, in execution order"""
    n_batches: int
    n_samples: int
    notes: tuple[str, ...]
    history: dict[RowMap, tuple[HistoryPoint, ...]] = field(default_factory=dict)
    """what the sums were after some of the batches"""
    latest: LatestBlock | None = None
    """the Gram matrices of the latest batch"""
    watched: dict[Pair, Extremes | None] = field(default_factory=dict)
    """on which samples the layers of the watched pairs agree least and most"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """what the pass found out, for the provenance"""


def tolerances(rows: Sequence[Row]) -> Tensor:
    """The share of each row's variance that must be left beside the confounders."""
    return torch.tensor(
        [MIN_RESIDUAL_SHARE_REDUCED if row.reduced else MIN_RESIDUAL_SHARE for row in rows], dtype=torch.float64
    )
