"""CKA and dCKA of whole runs against the slow float64 oracle."""

import numpy as np
import pytest
import reference
import torch
from torch import nn

import simwidget as sw

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
EVERY = ("cka", "dcka")


def oracle(models, batches, names, confounders):
    """Both measures of both models' layers, (layers of x, layers of y)."""
    per_batch = [[reference.representations(m, x, names) for m in models] for x in batches]
    split = len(per_batch[0][0])
    layers = [[*first.values(), *second.values()] for first, second in per_batch]
    nuisance = [[c(x).double().flatten(1).numpy() for c in confounders] for x in batches]
    values = {"cka": reference.cka(layers), "dcka": reference.dcka(layers, nuisance)}
    return {name: value[:split, split:] for name, value in values.items()}


def random_case(case, dtype, offset=0.0):
    """Two networks and some unequal batches; the representations' features have mean `offset`."""
    rng = np.random.default_rng(case)
    sizes = [int(p) for p in rng.integers(3, 40, size=4)]
    models = [reference.mlp(sizes, seed=2 * case + side, dtype=dtype) for side in range(2)]
    for model in models:
        for module in model:
            if isinstance(module, nn.Linear):
                nn.init.constant_(module.bias, offset)
    generator = torch.Generator().manual_seed(case)
    counts = rng.integers(8, 48, size=rng.integers(1, 4))
    batches = [torch.randn(int(n), sizes[0], generator=generator, dtype=torch.float64).to(dtype) for n in counts]
    return models, batches


def check(models, batches, tolerance, confounder="input", confounders=(lambda x: x,), layers=None):
    names = layers or [name for name, _ in models[0].named_modules() if name]
    comparison = sw.compare(*models, batches, layers=names, confounder=confounder, gram_batch=1, device="cpu")
    result = comparison.run(progress=False)
    expected = oracle([reference.without_inplace(m) for m in models], batches, names, confounders)
    for measure in EVERY:
        assert np.abs(result.matrix(measure) - expected[measure]).max() < tolerance, measure


@pytest.mark.filterwarnings("ignore:.*scatter widely")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", range(20))
def test_random_cases(case, dtype):
    models, batches = random_case(case, dtype)
    check(models, batches, TOLERANCE[dtype])


@pytest.mark.filterwarnings("ignore:.*scatter widely")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", range(20, 25))
def test_feature_mean_100(case, dtype):
    """No centring is left to the measure: the offset is gone before the product."""
    models, batches = random_case(case, dtype, offset=100.0)
    check(models, batches, TOLERANCE[dtype], layers=["0"])


@pytest.mark.filterwarnings("ignore:.*scatter widely")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", range(25, 30))
def test_two_correlated_confounders(case, dtype):
    models, batches = random_case(case, dtype)

    def blurred(x):
        return x + 0.3 * x.roll(1, dims=1)

    check(models, batches, TOLERANCE[dtype], ["input", blurred], (lambda x: x, blurred))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_resnet18_every_module_with_inplace_relu(dtype):
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    models = [torchvision.models.resnet18(weights=None).eval().to(dtype) for _ in range(2)]
    batches = [torch.randn(20, 3, 32, 32, dtype=dtype) for _ in range(2)]
    check(models, batches, TOLERANCE[dtype])


def test_joined_batches_equal_the_oracle_on_joined_samples():
    """Consecutive forward passes are joined into one Gram matrix, with a remainder at the end."""
    models, _ = random_case(0, torch.float64)
    samples = torch.randn(100, models[0][0].in_features, dtype=torch.float64)
    names = ["0", "1", "2", "4"]
    result = sw.compare(*models, list(samples.split(7)), layers=names, gram_batch=32, device="cpu").run(progress=False)
    joined = [samples[:35], samples[35:70], samples[70:]]
    expected = oracle([reference.without_inplace(m) for m in models], joined, names, [lambda x: x])
    for measure in EVERY:
        assert np.abs(result.matrix(measure) - expected[measure]).max() < 1e-10
