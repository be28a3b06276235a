"""One test for every way in which existing tools go wrong over the numbers of one pass of tensors or pairs with labels.

For each there is a patch in `tests/mutants/` that undoes the fix; `make mutants` proves that the test then fails.
"""

import numpy as np
import pytest
import reference
import torch
from passes import batches, expected_cka, within
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset

import simwidget as sw
from simwidget.gram.kernels import linear_gram
from simwidget.gram.precision import matmul_setting

pytestmark = pytest.mark.filterwarnings("ignore:.*scatter widely")


def test_offset_of_features_in_float32():
    model = reference.mlp([8, 256, 64])
    nn.init.constant_(model[0].bias, 300.0)
    data = batches()
    result = within(model, data, measures=("cka", "dcka"), layers=["0"])
    assert result.matrix("cka")[0, 0] == pytest.approx(1, abs=1e-12)
    other = sw.compare(model, reference.mlp([8, 32], seed=1), data, layers=["0"], device="cpu").run(False)
    layers = [[model[0](x).detach().numpy(), reference.mlp([8, 32], seed=1)[0](x).detach().numpy()] for x in data]
    assert other.matrix("cka")[0, 0] == pytest.approx(reference.cka(layers)[0, 1], abs=1e-5)
    expected = reference.dcka(layers, [[x.numpy()] for x in data])[0, 1]
    assert other.matrix("dcka")[0, 0] == pytest.approx(expected, abs=1e-4)


class Far(nn.Module):
    """Adds a feature far from zero, or makes one sample huge."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, x):
        if self.what == "feature":
            return torch.cat([x, x[:, :1] + 1e7], 1)
        return torch.cat([x[:32], 1e6 * x[32:33], x[33:]])


@pytest.mark.filterwarnings("ignore:float32 cannot tell")
@pytest.mark.parametrize("what", ["feature", "sample"])
def test_one_feature_or_sample_far_from_the_others(what):
    model, data = reference.mlp([8, 8]), batches()
    model.append(Far(what))
    result = within(model, data, layers=["0", "1"])
    assert np.abs(result.matrix() - expected_cka(model, data, ["0", "1"])).max() < 1e-6


def test_zeroed_diagonal_of_a_gram_matrix():
    """The inner product of two rows is n (n - 3) HSIC_1, three terms; self terms are never negative."""
    from simwidget.gram.row_maps import UCentredRows

    row_map = UCentredRows()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(4, 30))
        k, l = (reference.gram(rng.normal(size=(n, 5))) for _ in range(2))  # noqa: E741
        rows = row_map(torch.from_numpy(np.stack([k, l])), 0)
        products = (row_map.factor * rows @ rows.T).numpy() / row_map.weight(n)
        assert products[0, 1] == pytest.approx(reference.hsic1(k, l), rel=1e-9, abs=1e-9)
        assert products[0, 0] == pytest.approx(reference.hsic1(k, k), rel=1e-9, abs=1e-9)
        assert products[0, 0] >= 0


class Cast(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_half_precision_representations(dtype):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(8, 300), Cast(dtype), Cast(torch.float32), nn.Linear(300, 20), Cast(dtype))
    with torch.no_grad():
        model[0].weight.mul_(20)
    data = batches()
    result = within(model, data, layers=["1", "4"])
    assert np.abs(result.matrix() - expected_cka(model, data, ["1", "4"])).max() < 1e-4


def test_independent_data_in_small_batches():
    """The mean of biased ratios says 0.8 where there is nothing."""
    data = batches(60, 8, 1024)

    class Half(nn.Module):
        def __init__(self, start):
            super().__init__()
            self.part = nn.Identity()
            self.start = start

        def forward(self, x):
            return self.part(x[:, self.start : self.start + 512])

    result = sw.compare(
        Half(0), Half(512), data, layers=["part"], names=("x", "y"), measures="cka", gram_batch=8, device="cpu"
    ).run(False)
    assert abs(result.matrix()[0, 0]) < 0.1
    published = sw.compare(
        Half(0), Half(512), data, layers=["part"], names=("x", "y"), measures="cka", gram_batch=8, device="cpu",
        unbiased=False, average="cka",
    ).run(False)  # fmt: skip
    assert published.matrix()[0, 0] > 0.7


def test_negative_estimates_are_kept():
    values = []
    for seed in range(8):
        x, y = torch.randn(2, 12, 200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).unbind()
        values.append(sw.functional.cka(x, y))
        k, l = reference.gram(x), reference.gram(y)  # noqa: E741
        hsic = reference.hsic1(k, l) / np.sqrt(reference.hsic1(k, k) * reference.hsic1(l, l))
        assert values[-1] == pytest.approx(hsic, abs=1e-9)
    assert min(values) < -0.01


def test_loaders_that_are_shuffled_apart():
    model = reference.mlp([8, 16, 4])
    dataset = TensorDataset(torch.randn(128, 8))

    def shuffled():
        return DataLoader(dataset, batch_size=64, shuffle=True)

    with pytest.raises(ValueError, match=r"2 loaders were given.*Pass one loader"):
        sw.compare(model, model, (shuffled(), shuffled()))
    twin = reference.mlp([8, 16, 4])
    result = sw.compare(model, twin, shuffled(), device="cpu").run(False)
    assert np.allclose(result.matrix().diagonal(), 1, atol=1e-6)
    in_order = DataLoader(dataset, batch_size=64)
    same = sw.compare(model, twin, (in_order, DataLoader(dataset, batch_size=64)), device="cpu").run(False)
    assert np.allclose(same.matrix().diagonal(), 1, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_last_batch_of_a_few_samples(n):
    model = reference.mlp([8, 16, 4])
    whole = batches()
    with_rest = within(model, [*whole, torch.randn(n, 8)])
    assert np.array_equal(with_rest.matrix(), within(model, whole).matrix())
    assert (with_rest.n_samples, with_rest.n_batches) == (192, 4)
    assert any(f"{n} samples in 1 batches were left out" in note for note in with_rest.notes)


def test_every_batch_counts():
    model = reference.mlp([8, 16, 4])
    data = batches(4)
    result = within(model, data)
    assert np.abs(result.matrix() - expected_cka(model, data, ["0", "2"])).max() < 1e-5
    assert np.abs(result.matrix() - expected_cka(model, data[-1:], ["0", "2"])).max() > 1e-3


def test_weights_are_those_of_the_batches():
    """The mean of ratios divides by the number of batches, whatever the number of layers."""
    model = reference.mlp([8, 16, 12, 4])
    (batch,) = batches(1)

    def mean(times, layers):
        return within(model, [batch] * times, layers=layers, unbiased=False, average="cka").matrix()

    once = mean(1, ["0", "4"])
    assert once[0, 0] == pytest.approx(1)
    assert mean(7, ["0", "4"]) == pytest.approx(once, abs=1e-12)
    assert mean(7, ["*"])[0, -1] == pytest.approx(once[0, 1], abs=1e-12)


@pytest.mark.filterwarnings("ignore:the loader is ordered by class")
def test_loader_sorted_by_class():
    labels = torch.arange(10).repeat_interleave(64)
    samples = torch.randn(640, 8) + 3 * torch.randn(10, 8)[labels]
    model = reference.mlp([8, 16, 4])

    def notes(order):
        loader = DataLoader(TensorDataset(samples[order], labels[order]), batch_size=64)
        result = within(model, loader)
        assert result.provenance["loader"]["sampler"] == "SequentialSampler"
        return [note for note in result.notes if "ordered by class" in note]

    assert "1.0 classes a batch" in notes(torch.arange(640))[0]
    assert not notes(torch.randperm(640))


def test_small_batches_are_joined():
    model = reference.mlp([8, 16, 4])
    samples = torch.randn(256, 8)
    small = within(model, list(samples.split(4)), measures=("cka", "dcka"))
    large = within(model, list(samples.split(64)), measures=("cka", "dcka"))
    for measure in small.measures:
        assert np.abs(small.matrix(measure) - large.matrix(measure)).max() < 1e-5
        assert np.abs(small.stderr(measure) - large.stderr(measure)).max() < 1e-5
    assert not small.notes
    with pytest.warns(UserWarning, match="4 samples: under 16"):
        within(model, list(samples.split(4)), gram_batch=4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_confounder_that_explains_a_layer(dtype):
    class Rotated(nn.Module):
        def __init__(self):
            super().__init__()
            self.rotation = nn.Linear(8, 8, bias=False)
            nn.init.orthogonal_(self.rotation.weight)
            self.cast = Cast(dtype)
            self.other = nn.Linear(8, 8)

        def forward(self, x):
            self.cast(self.rotation(x).to(torch.float64) * 3)
            return self.other(torch.relu(x))

    model = Rotated().to(torch.float64 if dtype == torch.float64 else torch.float32)
    model.rotation.double()
    data = batches(dtype=torch.float64)
    model = model.double()
    result = within(model, data, measures=("cka", "dcka"), layers=["cast", "other"])
    assert result.matrix("cka").min() > 0.1
    assert result.reasons("dcka", "net") == {"cast": "explained by the confounder"}
    assert np.isnan(result.matrix("dcka")[0]).all()
    assert np.isnan(result.stderr("dcka")[0]).all()
    assert result.matrix("dcka")[1, 1] == pytest.approx(1)


class Products(TorchDispatchMode):
    """Records the precision settings under which matrix products run, and the dtypes they run in."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "mm" in str(function):
            self.seen.add((matmul_setting("cpu"), args[-1].dtype))
        return function(*args, **(kwargs or {}))


class Watched(nn.Module):
    """Runs its own layer under autocast, as models that mix precisions do."""

    def __init__(self):
        super().__init__()
        self.part = nn.Identity()

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.part(x)


def test_precision_settings_of_the_process(monkeypatch):
    model, data = Watched(), batches(1, 64, 4096)
    clean = within(model, data, measures=("cka", "dcka"), confounder=lambda x: x[:, :7].clone())
    torch.set_float32_matmul_precision("medium")
    settings = {kind: matmul_setting(kind) for kind in ("cpu", "cuda")}
    try:
        with Products() as products:
            run = within(model, data, measures=("cka", "dcka"), confounder=lambda x: x[:, :7].clone())
        assert {kind: matmul_setting(kind) for kind in ("cpu", "cuda")} == settings
        assert not set(settings.values()) & {"ieee", "none"}
    finally:
        torch.set_float32_matmul_precision("highest")
    in_float32 = {setting for setting, dtype in products.seen if dtype != torch.float64}
    assert {dtype for _, dtype in products.seen} == {torch.float32, torch.float64}
    assert in_float32 <= {"ieee", "none"}
    assert np.array_equal(run.matrix("dcka"), clean.matrix("dcka"))
    x = data[0] + 3
    monkeypatch.setattr("simwidget.gram.products.max_parts", lambda device_type: 2)  # autocast changes such products
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram = linear_gram(x)
    centred = x.double() - x.double().mean(0)
    assert torch.allclose(gram.double(), centred @ centred.T, rtol=1e-5, atol=2e-3)


def test_a_measure_says_which_way_it_reads():
    result = within(reference.mlp([8, 16, 4]), batches(), measures=("cka", "dcka"))
    for measure in result.measures:
        assert result.kind(measure) == "similarity"
        assert result.matrix(measure)[0, 0] == pytest.approx(1)  # a layer is most like itself
    assert [result.title(measure) for measure in result.measures] == ["CKA", "dCKA"]
