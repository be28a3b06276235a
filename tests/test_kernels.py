"""Gram matrices and what rebuilds the uncentred one."""

import pytest
import torch

from simwidget import kernels
from simwidget.kernels import linear_gram, linear_gram_and_moments


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_chunks_do_not_change_the_product(dtype, monkeypatch):
    x = (torch.randn(20, 999) * 3 + 5).to(dtype)
    centred = x.double() - x.double().mean(0)
    expected = centred @ centred.T
    for elements in (20, 20 * 7, 2**19):
        monkeypatch.setitem(kernels.CHUNK_ELEMENTS, "cpu", elements)
        gram = linear_gram(x)
        assert gram.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert torch.allclose(gram.double(), expected, rtol=1e-5, atol=1e-2 if gram.dtype == torch.float32 else 1e-9)


def test_moments_rebuild_the_uncentred_gram_matrix():
    x = torch.randn(12, 50, dtype=torch.float64) + torch.randn(50, dtype=torch.float64) * 4
    gram, moments = linear_gram_and_moments(x)
    assert torch.allclose(moments.uncentre(gram), x @ x.T)
    assert torch.allclose(moments.sums, x.sum(1))
    assert torch.allclose(moments.mean_sum, x.mean(0).sum())
    assert moments.n_features == 50


@pytest.mark.parametrize("level", [0.0, 1.0, 1e4, -3e-5])
def test_constant_representation_is_exactly_zero(level):
    x = torch.full((30, 777), level) + torch.linspace(0, 1, 777) * level
    assert torch.equal(linear_gram(x), torch.zeros(30, 30))


def test_small_variation_beside_a_large_mean_is_not_constant():
    x = 1000 + torch.randn(30, 100)
    assert linear_gram(x).diagonal().min() > 10


def test_values_that_are_not_finite_stay_visible():
    x = torch.randn(8, 10)
    x[3, 4] = torch.inf
    assert not linear_gram(x).diagonal().sum().isfinite()
