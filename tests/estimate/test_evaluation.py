"""Sums -> results."""

import math

import pytest
import torch

from simwidget.estimate.accumulators import Sums
from simwidget.estimate.evaluation import MeasureEvaluation, evaluate
from simwidget.estimate.jackknife import pseudo_values
from simwidget.estimate.pass_state import PassState
from simwidget.estimate.undefined import Undefined
from simwidget.gram.rows import Row
from simwidget.measures import make_measures
from simwidget.measures.base import MeasureOptions

MEASURES = make_measures(("cka", "dcka"), MeasureOptions())
ROWS = (("confounder", "input"), (0, "a"), (0, "b"), (1, "a"))


def pass_state(*weights):
    """Sums of one confounder and of three layers of two models; one group of batches for each weight."""
    rows = torch.randn(len(weights), len(ROWS), 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor(weights, dtype=torch.float64)
    sums = Sums(rows @ rows.mT * weights[:, None, None], weights)
    never = torch.full((len(ROWS),), -1)
    (row_map,) = {measure.rows for measure in MEASURES}
    return PassState(
        sums={row_map: sums},
        undefined={row_map: Undefined(never, never, torch.zeros_like(never), never)},
        rows=tuple(Row(key) for key in ROWS),
        layers=((1, 2), (3,)),
        n_batches=len(weights),
        n_samples=64 * len(weights),
        notes=(),
    )


def result(state, pairs=None):
    return evaluate(state, ("x", "y"), MEASURES, ("input",), pairs=pairs)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_degrees_of_freedom_are_those_of_the_weights_before_any_pair_is_evaluated(measure):
    evaluation = MeasureEvaluation(pass_state(1, 2, 5), measure, ("input",))
    expected = (1 + 2 + 5) ** 2 / (1 + 4 + 25) - 1
    assert evaluation.df == pytest.approx(expected)
    for rows_x, rows_y in (([1, 2], [3]), ([1], [1]), ([], [])):
        assert evaluation.pseudo_values(rows_x, rows_y).df == evaluation.df
    assert evaluation.df == pytest.approx(expected)


@pytest.mark.parametrize("pairs", [None, [(0, 1)], [(1, 1), (0, 0)], []])
def test_degrees_of_freedom_do_not_depend_on_the_pairs(pairs):
    found = result(pass_state(1, 2, 5), pairs)._info
    assert set(found) == {"cka", "dcka", "cka-dcka"}
    assert {info.df for info in found.values()} == {result(pass_state(1, 2, 5))._info["cka"].df}


def test_fewer_than_two_groups_have_no_degrees_of_freedom():
    assert all(math.isnan(info.df) for info in result(pass_state(0, 3, 0))._info.values())


def test_a_result_has_the_numbers_of_the_sums():
    state = pass_state(1, 2, 5)
    (sums,) = state.sums.values()
    found = result(state)

    def cka(products, weight):
        return products[1:3, 3:] / (products.diagonal()[1:3, None] * products[3, 3]).sqrt()

    expected = pseudo_values(cka, sums).estimate()
    assert found.matrix("cka") == pytest.approx(expected.values.numpy())
    assert found.stderr("cka") == pytest.approx(expected.stderr.numpy())
    assert found._info["cka"].df == expected.df
