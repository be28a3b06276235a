"""Gram matrices of one representation."""

import pytest
import torch

from simwidget.gram import kernels, precision, products
from simwidget.gram.centring import double_centre
from simwidget.gram.kernels import LinearKernel, kernel_gram, linear_gram
from simwidget.gram.precision import matmul_setting


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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_an_offset_of_a_few_samples_loses_no_digits(dtype, monkeypatch):
    x = (torch.randn(20, 999) * 3 + 5).to(dtype)
    centred = x.double() - x.double().mean(0)
    expected = centred @ centred.T
    for elements in (20 * 7, 2**19):
        monkeypatch.setitem(kernels.CHUNK_ELEMENTS, "cpu", elements)
        gram = double_centre(kernel_gram(x, LinearKernel()))
        assert torch.allclose(gram.double(), expected, rtol=1e-5, atol=1e-2 if gram.dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("n", [3, 15, 33, 128, 257, 700])
def test_any_number_of_samples(n):
    x = torch.randn(n, 50, dtype=torch.float64) + 7
    centred = x - x.mean(0)
    gram = linear_gram(x)
    assert torch.allclose(gram, gram.T)
    assert torch.allclose(gram, centred @ centred.T)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_high_precision_is_close_and_constants_stay_zero(dtype):
    x = (torch.randn(256, 4096) + 5).to(dtype)
    centred = x.double() - x.double().mean(0)
    gram = double_centre(kernel_gram(x, LinearKernel("high"))).double()
    assert ((gram - centred @ centred.T).abs().max() / 4096) < 2e-3
    assert torch.equal(kernel_gram(x[:1].expand(256, -1), LinearKernel("high")), torch.zeros(256, 256, dtype=dtype))


@pytest.mark.parametrize(("n", "units"), [(255, True), (256, False), (256, True)])
def test_high_precision_on_a_cpu_only_where_it_is_faster(n, units, monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: units)
    settings = []
    monkeypatch.setattr(kernels.Products, "write", lambda *args, **options: settings.append(matmul_setting("cpu")))
    kernel_gram(torch.randn(n, 600), LinearKernel("high"))
    as_asked = n == 256 and units
    assert settings[0] in (("bf16", "tf32") if as_asked else ("ieee", "none"))


def test_chunks_of_any_number_of_samples_can_be_multiplied_in_parts(monkeypatch):
    monkeypatch.setattr(products, "is_from_intel", lambda: False)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    kernel = LinearKernel()
    kernel_gram(torch.randn(100, 60_000), kernel)
    assert len(kernel._prepared) == 2
    assert all(made._in_parts for _, made in kernel._prepared.values())


def test_shapes_that_change_leave_no_growing_memory(monkeypatch):
    monkeypatch.setattr(kernels, "MAX_SHAPES", 4)
    kernel = LinearKernel()
    for p in [*range(10, 30), *range(30, 10, -1)]:
        x = torch.randn(9, p, dtype=torch.float64) + 3
        centred = x - x.mean(0)
        assert torch.allclose(double_centre(kernel_gram(x, kernel)), centred @ centred.T)
        assert len(kernel._prepared) <= 4


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


def test_high_precision_of_a_run():
    import simwidget as sw

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 16))
    batches = list(torch.randn(4, 256, 32))
    found = {
        precision: sw.compare(
            net, net, batches, names=("a", "b"), precision=precision, gram_batch=256, device="cpu"
        ).run(progress=False)
        for precision in ("highest", "high")
    }
    assert found["high"].provenance["options"]["precision"] == "high"
    for measure in ("cka", "dcka"):
        difference = abs(found["high"].matrix(measure) - found["highest"].matrix(measure)).max()
        assert difference < 2e-3
    with pytest.raises(ValueError, match="precision='medium': choose 'highest' or 'high'"):
        sw.compare(net, net, batches, names=("a", "b"), precision="medium")
