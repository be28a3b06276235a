"""How the numbers of one pair of layers came about: every measure over the batches, with its error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from simwidget.estimate.accumulators import N_GROUPS, Sums
from simwidget.estimate.evaluation import Evaluated
from simwidget.estimate.jackknife import PseudoValues
from simwidget.estimate.pass_state import PassState
from simwidget.measures import make_differences
from simwidget.measures.base import Measure


@dataclass(frozen=True)
class Curve:
    """One measure of one pair of layers after some of the batches; the last point is the present one."""

    n_batches: NDArray[np.int64]
    values: NDArray[np.float64]
    stderr: NDArray[np.float64]
    """one standard error for each value; NaN before two groups of batches"""


def convergence(
    pass_state: PassState, measures: Sequence[Measure], confounders: Sequence[str], row_x: int, row_y: int
) -> dict[str, Curve]:
    """The curve of every measure and difference for two rows.

    The last point is the same jackknife estimate as the matrix'. Earlier ones come from the kept moments: what was
    added between two of them is an independent block of batches, and up to 16 such blocks are left out in turn.
    """
    c = len(confounders)
    small = _only(pass_state, [*range(c), row_x, row_y])
    found: dict[str, list[PseudoValues]] = {}
    batches: list[int] = []
    lost: dict[str, bool] = {}
    for measure in measures:
        one = Evaluated(small, measure, confounders)
        kept = [moment for moment in small.history.get(measure.rows, ()) if moment.n_batches < pass_state.n_batches]
        past = _moments(one, [m.products for m in kept], [m.weight for m in kept], c)
        found[measure.name] = [*past, one.pseudo_values([c], [c + 1])]
        batches = [*(moment.n_batches for moment in kept), pass_state.n_batches]
        lost[measure.name] = bool({c, c + 1} & set(one.reasons))
    for difference in make_differences(measures):
        a, b = difference.minuend.name, difference.subtrahend.name
        found[difference.name] = [x - y for x, y in zip(found[a], found[b], strict=True)]
        lost[difference.name] = lost[a] or lost[b]
    curves = {}
    for name, points in found.items():
        estimates = [point.estimate() for point in points]
        pair = np.array([[e.values.item(), e.stderr.item()] for e in estimates])
        pair[lost[name]] = np.nan
        curves[name] = Curve(np.array(batches, dtype=np.int64), pair[:, 0], pair[:, 1])
    return curves


def _only(pass_state: PassState, rows: Sequence[int]) -> PassState:
    """The pass as if it had only these rows."""
    index = torch.tensor(rows)
    return PassState(
        sums={
            row_map: Sums(sums.products[:, index][:, :, index].cpu(), sums.weights)
            for row_map, sums in pass_state.sums.items()
        },
        undefined={row_map: one.only(index) for row_map, one in pass_state.undefined.items()},
        rows=tuple(pass_state.rows[row] for row in rows),
        layers=(),
        n_batches=pass_state.n_batches,
        n_samples=pass_state.n_samples,
        notes=(),
        history={
            row_map: tuple(moment.only(index) for moment in moments) for row_map, moments in pass_state.history.items()
        },
    )


def _moments(one: Evaluated, products: list[Tensor], weights: list[float], c: int) -> list[PseudoValues]:
    """The estimate at every moment, from blocks of batches that follow each other."""
    if not products:
        return []
    zero = torch.zeros_like(products[0])
    sums = torch.stack([zero, *products])
    weight = torch.tensor([0.0, *weights], dtype=torch.float64)
    evaluate = vmap(one.evaluator([c], [c + 1]))
    values = evaluate(sums[1:], weight[1:])
    cuts = [np.linspace(0, h, min(N_GROUPS, h) + 1).round().astype(int) for h in range(1, len(sums))]
    ends, a, b = (
        torch.tensor(np.concatenate(parts))
        for parts in (
            [np.full(len(cut) - 1, cut[-1]) for cut in cuts],
            [cut[:-1] for cut in cuts],
            [cut[1:] for cut in cuts],
        )
    )
    left_out = evaluate(sums[ends] - sums[b] + sums[a], weight[ends] - weight[b] + weight[a])
    shares = weight[ends] / (weight[b] - weight[a])
    found, at = [], 0
    for value, cut in zip(values, cuts, strict=True):
        here = slice(at, at + len(cut) - 1)
        at = here.stop
        if len(cut) < 3:
            found.append(PseudoValues(value, value.new_zeros(0, *value.shape), (), float("nan")))
            continue
        h = shares[here]
        taus = h[:, None, None] * value - (h[:, None, None] - 1) * left_out[here]
        found.append(PseudoValues(value, taus, tuple(h.tolist()), len(h) - 1))
    return found
