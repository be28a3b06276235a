"""Agreement with the tools people use today, where those are right."""

import copy

import numpy as np
import pytest
import reference
import torch
from torch.utils.data import DataLoader, TensorDataset

import simwidget as sw

torchvision = pytest.importorskip("torchvision")

LAYERS = ["layer1.0.conv", "layer2.1.bn1", "layer3.0.downsample", "layer4.1.conv2", "fc"]
"""As substrings; no module of these runs twice, since simtorch keeps its last call only, and none is a `bn2`,
to whose output torchvision adds the shortcut in place."""


@pytest.fixture(scope="module")
def networks():
    """Two networks without in-place ReLUs: with them the peers read overwritten outputs."""
    torch.manual_seed(0)
    return [reference.without_inplace(torchvision.models.resnet18(weights=None)).eval() for _ in range(2)]


@pytest.fixture(scope="module")
def loader():
    images = torch.randn(96, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(images, torch.arange(96) % 10), batch_size=32)


@torch.no_grad()
def simtorch_matrix(kind, networks, loader, **options):
    simtorch = pytest.importorskip("simtorch.similarity")
    from simtorch.model import SimilarityModel

    models = [SimilarityModel(network, layers_to_include=LAYERS) for network in networks]
    rows = None
    try:
        measured = getattr(simtorch, kind)(*models, device="cpu", **options).compute(loader)
        rows = len(models[0].model_activations)
    finally:
        for network in networks:
            for module in network.modules():
                module._forward_hooks.clear()
    return measured * rows / len(loader)  # 0.2.1 divides the sum over batches by the number of rows


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("CKA", {}),
        ("DeltaCKA", {"remove_negative_eig": False}),
        ("DeltaCKA", {"remove_negative_eig": True}),
    ],
    ids=["cka", "dcka", "dcka-psd"],
)
def test_mean_of_biased_ratios_equals_simtorch(kind, theirs, networks, loader):
    models = [
        sw.SimilarityModel(network, model_name=name, layers_to_include=LAYERS)
        for network, name in zip(networks, ("a", "b"))
    ]
    ours = getattr(sw, kind)(*models, unbiased=False, average="cka", **theirs).compute(loader)
    expected = simtorch_matrix(kind, networks, loader, **theirs)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() < 1e-5


def test_unbiased_cka_equals_pytorch_cka(networks, loader):
    """In float64: the peer does not centre before the product and is up to 0.01 off on these networks in float32."""
    peer = pytest.importorskip("cka")
    networks = [copy.deepcopy(network).double() for network in networks]
    images, labels = loader.dataset.tensors
    loader = DataLoader(TensorDataset(images.double(), labels), batch_size=32)
    layers = ["conv1", "bn1", "layer1.0.conv1", "layer1.1.bn1", "layer2.0", "layer3.1.conv2", "layer4", "fc"]
    (expected,) = peer.compute_cka(*networks, loader, layers=layers, device="cpu", progress=False)
    result = sw.compare(*networks, loader, layers=layers, measures="cka", gram_batch=32, device="cpu").run(False)
    assert result.layers_x == tuple(layers)
    ours, negative = result.matrix(), result.matrix() < 0
    assert negative.sum() < 10
    assert np.all(expected.numpy()[negative] == 0)  # the peer clamps at 0
    assert np.abs(ours - expected.numpy())[~negative].max() < 1e-4
