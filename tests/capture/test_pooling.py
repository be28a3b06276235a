"""Tokens -> one representation a sample, against loops in float64."""

import numpy as np
import pytest
import torch

from simwidget.capture.outputs import RepresentationError, find_output
from simwidget.capture.pooling import first_token, last_token, mean
from simwidget.capture.reading import Reading, ReadingContext

N, TOKENS, P = 4, 5, 3
MASKS = {
    "right padding": torch.arange(TOKENS) < torch.tensor([1, 3, 5, 2])[:, None],
    "left padding": torch.arange(TOKENS) >= torch.tensor([4, 0, 2, 1])[:, None],
    "holes": torch.tensor([[0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 0, 1, 0, 0], [1, 1, 1, 1, 1]]).bool(),
}


def tokens(axis, dtype=torch.float64):
    """(n, tokens, p), laid out with its features at `axis`, and the same as numpy with the features last."""
    x = torch.randn(N, TOKENS, P, dtype=torch.float64).to(dtype)
    return x.movedim(2, axis).contiguous(), x.double().numpy()


def by_hand(x, mask, pick):
    return np.stack([pick([token for token, real in zip(sample, row) if real]) for sample, row in zip(x, mask)])


POOLS = {
    "mean": (mean, lambda real: sum(real) / len(real)),
    "cls": (first_token, lambda real: real[0]),
    "last": (last_token, lambda real: real[-1]),
}


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("hidden", [*MASKS, None])
@pytest.mark.parametrize("name", POOLS)
def test_against_a_loop(name, hidden, axis):
    pool, pick = POOLS[name]
    x, plain = tokens(axis)
    mask = MASKS.get(hidden)
    expected = by_hand(plain, torch.ones(N, TOKENS).bool() if mask is None else mask, pick)
    assert np.allclose(pool(x, axis, mask).numpy(), expected, atol=1e-14)


@pytest.mark.parametrize("garbage", [torch.nan, torch.inf, -torch.inf, 1e300])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("hidden", MASKS)
@pytest.mark.parametrize("name", POOLS)
def test_what_lies_in_padding_does_not_leak(name, hidden, axis, garbage):
    pool, _ = POOLS[name]
    x, _ = tokens(axis)
    spoilt = x.masked_fill(~MASKS[hidden].unsqueeze(axis), garbage)
    assert torch.equal(pool(spoilt, axis, MASKS[hidden]), pool(x, axis, MASKS[hidden]))


def test_a_real_token_that_is_not_finite_shows():
    x, _ = tokens(2)
    x[1, 1] = torch.nan
    assert mean(x, 2, MASKS["right padding"])[1].isnan().all()


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4, 5, 2)])
def test_the_mean_over_space(shape):
    for axis in (1, len(shape) - 1):
        x = torch.randn(shape, dtype=torch.float64)
        others = tuple(d for d in range(1, len(shape)) if d != axis)
        assert np.allclose(mean(x, axis).numpy(), x.numpy().mean(others))


@pytest.mark.parametrize("mask", [None, torch.ones(2, 2000).bool()], ids=["all", "masked"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_summed_in_float32(dtype, mask):
    x = (torch.rand(2, 2000, 3) + 40).to(dtype)  # the sum is over float16's largest number
    found = mean(x, 2, mask)
    assert found.dtype == torch.float32
    expected = x.double().mean(1)
    assert (found.double() - expected).abs().max() < 1e-6 * expected.abs().max()


@pytest.mark.parametrize("pool", [mean, first_token, last_token])
def test_features_alone_stay_as_they_are(pool):
    for shape in ((3,), (3, 4)):
        x = torch.randn(shape)
        assert torch.equal(pool(x, len(shape) - 1), x)


@pytest.mark.parametrize("pool", [first_token, last_token])
def test_maps_have_no_tokens(pool):
    text = r"^its output \(2, 3, 4, 4\) has positions, no tokens: take representation=\"mean\" or \"positions\" for it$"
    for axis in (1, 3):
        with pytest.raises(RepresentationError, match=text):
            pool(torch.zeros(2, 3, 4, 4), axis)


@pytest.mark.parametrize("pool", [mean, first_token, last_token])
def test_a_view_is_not_written_to(pool):
    x, _ = tokens(2)
    before = x.clone()
    pool(x, 2, MASKS["holes"])
    assert torch.equal(x, before)


@pytest.mark.parametrize("shape", [(N, P), (N, TOKENS, P), (N, P, 3, 3)], ids=["features", "tokens", "maps"])
def test_complex_outputs_are_pooled_as_complex_numbers(shape):
    x = torch.randn(shape, dtype=torch.complex128)
    found = Reading("mean").represent(find_output(x, N), ReadingContext(N), "layer").numpy()
    z = x.numpy() if len(shape) == 2 else x.numpy().mean(1) if len(shape) == 3 else x.numpy().mean((2, 3))
    assert np.allclose(found @ found.T, (z @ z.conj().T).real)
