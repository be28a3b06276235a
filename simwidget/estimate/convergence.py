"""Convergence curves: a measure of one pair of layers as a function of the number of batches, with standard errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from simwidget.estimate.accumulators import N_GROUPS, Sums
from simwidget.estimate.evaluation import MeasureEvaluation
from simwidget.estimate.jackknife import PseudoValues
from simwidget.estimate.pass_state import PassState
from simwidget.measures import make_differences
from simwidget.measures.base import Measure


@dataclass(frozen=True)
class Curve:
    """The estimates of one measure for one pair of layers after increasing numbers of batches, with standard errors.

    The curve has k points. The last point is the present estimate.
    """

    n_batches: NDArray[np.int64]
    """(k,): the number of batches from which each estimate was computed, in increasing order"""
    values: NDArray[np.float64]
    """(k,): the estimates; NaN if the measure is undefined for these layers"""
    stderr: NDArray[np.float64]
    """(k,): the standard error of each estimate; NaN with fewer than two groups of batches"""


def convergence(
    pass_state: PassState, measures: Sequence[Measure], confounders: Sequence[str], row_x: int, row_y: int
) -> dict[str, Curve]:
    """Return the convergence curves for one pair of layers: a dictionary by name of the measure or difference.

    The last point of a curve is the estimate in the `SimilarityResult`. Earlier points come from the history of the
    sums. For the standard error of an earlier point, the batches up to this point are divided into at most 16 groups of
    consecutive batches. The jackknife leaves out one group at a time.

    Args:
        pass_state: the sums and their history.
        measures: the measures; if they include CKA and dCKA, the difference of these two measures is added.
        confounders: names of the confounders, whose rows come first in the sums.
        row_x, row_y: indices of the two layers' rows in the sums.
    """
    c = len(confounders)
    selected = _select_rows(pass_state, [*range(c), row_x, row_y])
    found: dict[str, list[PseudoValues]] = {}
    batches: list[int] = []
    undefined: dict[str, bool] = {}
    for measure in measures:
        evaluation = MeasureEvaluation(selected, measure, confounders)
        kept = [point for point in selected.history.get(measure.rows, ()) if point.n_batches < pass_state.n_batches]
        past = _past_estimates(evaluation, [p.products for p in kept], [p.weight for p in kept], c)
        found[measure.name] = [*past, evaluation.pseudo_values([c], [c + 1])]
        batches = [*(point.n_batches for point in kept), pass_state.n_batches]
        undefined[measure.name] = bool({c, c + 1} & set(evaluation.reasons))
    for difference in make_differences(measures):
        a, b = difference.minuend.name, difference.subtrahend.name
        found[difference.name] = [x - y for x, y in zip(found[a], found[b], strict=True)]
        undefined[difference.name] = undefined[a] or undefined[b]
    curves = {}
    for name, points in found.items():
        estimates = [point.estimate() for point in points]
        numbers = np.array([[e.values.item(), e.stderr.item()] for e in estimates])
        numbers[undefined[name]] = np.nan
        curves[name] = Curve(np.array(batches, dtype=np.int64), numbers[:, 0], numbers[:, 1])
    return curves


def _select_rows(pass_state: PassState, rows: Sequence[int]) -> PassState:
    """Return a pass state with only the layers and confounders at the indices `rows`. Its products are on the CPU."""
    index = torch.tensor(rows)
    return PassState(
        sums={
            row_map: Sums(sums.products[:, index][:, :, index].cpu(), sums.weights)
            for row_map, sums in pass_state.sums.items()
        },
        undefined={row_map: undefined.select(index) for row_map, undefined in pass_state.undefined.items()},
        rows=tuple(pass_state.rows[row] for row in rows),
        layers=(),
        n_batches=pass_state.n_batches,
        n_samples=pass_state.n_samples,
        notes=(),
        history={
            row_map: tuple(point.select(index) for point in points) for row_map, points in pass_state.history.items()
        },
    )


def _past_estimates(
    evaluation: MeasureEvaluation, products: list[Tensor], weights: list[float], c: int
) -> list[PseudoValues]:
    """Return the jackknife pseudo-values of one pair of layers at each of k points of the history.

    The groups of the jackknife are groups of consecutive batches.

    Args:
        evaluation: evaluates the measure.
        products: for each point, the products (R, R) summed over all batches up to this point.
        weights: for each point, the summed weight of the same batches.
        c: the number of confounders; their rows come first, and rows c and c + 1 are the pair of layers.
    """
    if not products:
        return []
    zero = torch.zeros_like(products[0])
    sums = torch.stack([zero, *products])
    weight = torch.tensor([0.0, *weights], dtype=torch.float64)
    evaluate = vmap(evaluation.evaluator([c], [c + 1]))
    values = evaluate(sums[1:], weight[1:])
    cuts = [np.linspace(0, h, min(N_GROUPS, h) + 1).round().astype(int) for h in range(1, len(sums))]
    ends, starts, stops = (
        torch.tensor(np.concatenate(parts))
        for parts in (
            [np.full(len(cut) - 1, cut[-1]) for cut in cuts],
            [cut[:-1] for cut in cuts],
            [cut[1:] for cut in cuts],
        )
    )
    left_out = evaluate(sums[ends] - sums[stops] + sums[starts], weight[ends] - weight[stops] + weight[starts])
    inflation = weight[ends] / (weight[stops] - weight[starts])
    found, start = [], 0
    for value, cut in zip(values, cuts, strict=True):
        group = slice(start, start + len(cut) - 1)
        start = group.stop
        if len(cut) < 3:
            found.append(PseudoValues(value, value.new_zeros(0, *value.shape), (), float("nan")))
            continue
        h = inflation[group]
        taus = h[:, None, None] * value - (h[:, None, None] - 1) * left_out[group]
        found.append(PseudoValues(value, taus, tuple(h.tolist()), len(h) - 1))
    return found
