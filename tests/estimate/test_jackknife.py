"""Standard errors from the group sums."""

import math

import pytest
import torch

from simwidget.estimate.accumulators import Sums
from simwidget.estimate.jackknife import jackknife


def mean(products, weight):
    return products[:1, :1] / weight


def sums(values, weights):
    weights = torch.tensor(weights, dtype=torch.float64)
    return Sums((torch.tensor(values, dtype=torch.float64) * weights)[:, None, None], weights)


def test_error_of_a_mean_is_the_textbook_one():
    values = [1.0, 4.0, 2.0, 7.0, 5.0]
    estimate = jackknife(mean, sums(values, [1.0] * 5))
    data = torch.tensor(values, dtype=torch.float64)
    assert estimate.values.item() == pytest.approx(data.mean().item())
    assert estimate.stderr.item() == pytest.approx((data.std() / math.sqrt(5)).item())
    assert estimate.df == pytest.approx(4)


def test_error_of_a_weighted_mean():
    """Busing et al.'s variance worked out by hand for unequal weights."""
    values, weights = [1.0, 3.0, 8.0], [1.0, 2.0, 5.0]
    estimate = jackknife(mean, sums(values, weights))
    total = sum(weights)
    theta = sum(v * w for v, w in zip(values, weights)) / total
    taus, hs = [], []
    for value, weight in zip(values, weights):
        h = total / weight
        left = (theta * total - value * weight) / (total - weight)
        hs.append(h)
        taus.append(h * theta - (h - 1) * left)
    centre = sum(tau / h for tau, h in zip(taus, hs))
    expected = sum((tau - centre) ** 2 / (h - 1) for tau, h in zip(taus, hs)) / 3
    assert estimate.stderr.item() == pytest.approx(math.sqrt(expected))
    assert estimate.df == pytest.approx(total**2 / sum(w**2 for w in weights) - 1)


def test_one_group_has_no_error():
    estimate = jackknife(mean, sums([2.0, 0.0], [1.0, 0.0]))
    assert estimate.values.item() == 2
    assert math.isnan(estimate.stderr.item())
    assert math.isnan(estimate.df)


def test_a_group_that_dominates_is_marked():
    even = jackknife(mean, sums([1.0, 2.0, 1.0, 2.0, 1.5, 1.2], [1.0] * 6))
    uneven = jackknife(mean, sums([1.0, 1.1, 1.0, 1.1, 1.0, 90.0], [1.0] * 6))
    assert not even.dominated.item()
    assert uneven.dominated.item()
