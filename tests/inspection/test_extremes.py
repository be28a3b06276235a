"""The agreement of two layers on single samples, and the samples with the least and the most."""

import numpy as np
import pytest
import reference
import torch

from simwidget.data.parsing import parse_batch
from simwidget.data.samples import BatchSamples, Samples
from simwidget.gram.kernels import linear_gram
from simwidget.inspection.extremes import N_EXTREMES, Extremes, WatchedPair, agreement
from simwidget.inspection.latest_block import LatestBlock


def named(n, first=0):
    """Samples whose labels and one-pixel pictures are their places."""
    places = torch.arange(first, first + n)
    return Samples(places, places.double(), places.to(torch.uint8).reshape(n, 1, 1, 1), torch.ones(n, dtype=torch.bool))


def found(extremes):
    """(index, value) of both ends; whose sample it is must be the same everywhere."""
    ends = []
    for ranked in (extremes.least, extremes.most):
        read = ranked.fetch()
        assert all(one.label == one.index == one.thumbnail.item() for one in read)
        ends.append([(one.index, one.value) for one in read])
    return ends


def test_agreement_is_the_cosine_of_rows_of_centred_gram_matrices():
    x, y = torch.randn(20, 30) + 10, torch.randn(20, 5) * 1e-3
    y[3] = y.mean(0)
    values = agreement(linear_gram(x), linear_gram(y))
    assert values.dtype == torch.float64
    assert np.allclose(values, reference.agreement(x, y), atol=1e-4, equal_nan=True)
    exact = agreement(linear_gram(x.double()), linear_gram(y.double()))
    assert np.allclose(exact, reference.agreement(x, y), atol=1e-9, equal_nan=True)


def test_agreement_ignores_scale_and_rotation():
    x, y = torch.randn(2, 20, 6, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    values = agreement(linear_gram(x), linear_gram(y))
    assert torch.allclose(agreement(linear_gram(7 * x @ rotation + 3), linear_gram(y)), values)
    assert torch.allclose(agreement(linear_gram(y), linear_gram(x)), values)
    assert torch.allclose(agreement(linear_gram(x), linear_gram(x)), torch.ones(20, dtype=torch.float64))


def test_rows_without_a_number_are_nan():
    gram = linear_gram(torch.randn(5, 3))
    lost = gram.clone()
    lost[1], lost[2, 4] = 0, torch.inf
    assert agreement(gram, lost).isnan().tolist() == [False, True, True, False, False]


@pytest.mark.parametrize("sizes", [[64, 64, 40], [5], [5, 3, 30, 1], [200]])
def test_merged_ends_are_those_of_all_samples(sizes):
    values = torch.randn(sum(sizes), dtype=torch.float64)
    values[::7] = torch.nan
    parts, first = [], 0
    for size in sizes:
        parts.append(Extremes.of(values[first : first + size], named(size, first)))
        first += size
    order = [k for k in values.argsort(stable=True).tolist() if not values[k].isnan()]
    for merged in (parts, parts[::-1]):
        whole = merged[0]
        for part in merged[1:]:
            whole = whole.merge(part)
        least, most = found(whole)
        assert least == [(k, values[k].item()) for k in order[:N_EXTREMES]]
        assert most == [(k, values[k].item()) for k in order[::-1][:N_EXTREMES]]
        assert int(whole.n_compared) == len(order)


def test_of_equals_the_earlier_sample_comes_first():
    same = torch.ones(30, dtype=torch.float64)
    extremes = Extremes.of(same, named(30)).merge(Extremes.of(same, named(30, 30)))
    for end in found(extremes):
        assert [index for index, _ in end] == list(range(N_EXTREMES))


def test_nothing_in_the_loop_waits_for_a_number():
    """A meta tensor has no numbers: whatever asks for one fails."""
    batch = BatchSamples(0, parse_batch([torch.rand(9, 3, 8, 8), torch.arange(9)], 0), (8, 8, 3))
    latest = LatestBlock(torch.zeros(2, 9, 9, device="meta"), (batch,))
    watch = WatchedPair((0, "a"), (0, "b"))
    for _ in range(3):
        watch.add(latest.limited_to(200).extremes(0, 1))
    assert watch.extremes.least.values.device.type == "meta"
    assert len(watch.extremes.least.values) == N_EXTREMES
    with pytest.raises((RuntimeError, NotImplementedError)):
        watch.extremes.least.fetch()
