"""The errors' t intervals cover the truth; `python -m benchmarks.coverage` prints the full figures."""

import pytest

from benchmarks.coverage import Population, coverage
from simwidget.functional import cka, dcka


def test_the_population_values_are_those_of_a_large_sample():
    import torch

    population = Population.draw()
    truth = population.truth()
    z, x, y = population.sample(4000, torch.Generator().manual_seed(0))
    assert cka(x, y) == pytest.approx(truth["cka"], abs=0.02)
    assert dcka(x, y, z) == pytest.approx(truth["dcka"], abs=0.02)
    assert abs(truth["cka"] - truth["dcka"]) > 0.005


def test_intervals_cover_the_truth():
    """With 400 runs the share scatters by 0.011: three of these either side of 95 %."""
    found = coverage(runs=400, seed=7)
    for share in found.values():
        assert 0.917 < share < 0.983
