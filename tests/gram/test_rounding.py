"""Which representations are constant but for rounding, and which features may be."""

import pytest
import torch

from simwidget.gram.centring import double_centre
from simwidget.gram.gram_batch import GramBatch, GramOptions
from simwidget.gram.kernels import LinearKernel, finish_grams, kernel_gram
from simwidget.gram.rounding import Rounding, find_rounding

EPSILON = torch.finfo(torch.float32).eps
ROUNDED, UNCERTAIN, CERTAIN = Rounding(True, True), Rounding(False, True), Rounding(False, False)


def spread_by(offsets, steps):
    """Samples (64, p) whose standard deviation is so many machine epsilons, in each feature relative to its offset."""
    noise = torch.randn(64, len(offsets), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = (noise - noise.mean(0)) / noise.std(0, correction=0)
    return (offsets * (1 + noise * torch.as_tensor(steps) * EPSILON)).double()


ONES = torch.ones(40, dtype=torch.float64)
FEW = torch.arange(40) < 4


@pytest.mark.parametrize(
    ("offsets", "steps", "expected"),
    [
        (1e5 * ONES, 7.0, ROUNDED),
        (1e5 * ONES, 9.0, CERTAIN),
        (torch.where(FEW, 1e7, 1.0), torch.where(FEW, 7.0, 1e6), UNCERTAIN),
        (torch.where(FEW, 1e3, 1.0), torch.where(FEW, 7.0, 1e6), CERTAIN),  # no noticeable share
        (torch.where(FEW, 1.0, 1e7), torch.where(FEW, 7.0, 9.0), CERTAIN),
        (torch.where(FEW, 1e-4, 1.0), torch.where(FEW, 1e4, 1.0), ROUNDED),  # small by chance, not of small spread
        (0 * ONES, 1.0, ROUNDED),
    ],
)
def test_features_are_judged_by_their_own_offset(offsets, steps, expected):
    x = spread_by(offsets, steps)
    assert find_rounding(x, torch.float32) == expected
    assert find_rounding(x.repeat(1, 1000), torch.float32) == expected


def test_a_feature_that_is_far_away_leaves_the_others_their_spread():
    x = torch.randn(64, 9)
    x[:, 3] = 1e7
    centred = x.double() - x.double().mean(0)
    assert torch.allclose(double_centre(kernel_gram(x, LinearKernel())).double(), centred @ centred.T, atol=1e-4)


@pytest.mark.parametrize("place", [0, 10, 32, 53])
def test_one_huge_sample_leaves_the_others_their_digits(place):
    x = torch.randn(64, 9)
    x[place] *= 1e6
    gram = kernel_gram(x, LinearKernel())
    others = torch.arange(64) != place
    centred = x[others].double() - x[others].double().mean(0)
    assert torch.allclose(double_centre(gram[others][:, others]).double(), centred @ centred.T, atol=1e-4)


def test_offsets_whose_square_overflows():
    x = torch.randn(64, 9)
    x[:, 3] = 1e20
    assert kernel_gram(x, LinearKernel()).trace() > 0
    x[5, 0] = torch.inf
    assert not kernel_gram(x, LinearKernel()).trace().isfinite()


def test_devices_that_are_not_waited_for_count_all_features():
    """What they leave to `finish_grams` is the squared norm of the offset."""
    grams = torch.eye(10).expand(3, 10, 10) * torch.tensor([1.0, 1.0, 0.0])[:, None, None]
    is_constant = finish_grams(grams, torch.tensor([1e14, 1.0, 1.0]))
    assert is_constant.tolist() == [True, False, False]
    assert grams.diagonal(dim1=1, dim2=2).sum(1).tolist() == [0.0, 10.0, 0.0]


@pytest.mark.parametrize("n", [16, 64], ids=["joined", "at once"])
@pytest.mark.parametrize("also", [torch.float32, torch.float64], ids=str)
def test_a_block_says_which_layers_are_uncertain(n, also):
    """Also of a tensor that two layers share, and where a layer in float64 makes the stack float64."""
    uncertain = spread_by(torch.where(FEW, 1e7, 1.0), torch.where(FEW, 7.0, 1e6)).float()
    rounded = spread_by(1e5 * ONES, 1.0).float()
    certain = torch.randn(64, 5).to(also)
    layers = {"uncertain": uncertain, "again": uncertain, "certain": certain, "rounded": rounded}
    keys = {name: (0, name) for name in layers}
    grams = GramBatch(GramOptions(64), {key: row for row, key in enumerate(keys.values())}, torch.device("cpu"))
    for start in range(0, 64, n):
        grams.open(n)
        for name, x in layers.items():
            grams.put(keys[name], x[start : start + n], keys["uncertain"] if name == "again" else None)
        grams.close()
    found = grams.take()
    assert found.uncertain.tolist() == [True, True, False, True]
    assert (found.stack.flatten(1).norm(dim=1) > 0).tolist() == [True, True, True, False]
    assert not grams.take().uncertain.any()
