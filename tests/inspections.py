"""Two small networks on images that spell their own index, and the agreement of their layers by brute force."""

import numpy as np
import pytest
import reference
import torch
from torch import nn

import simwidget as sw

WAIT = 60
LAYERS = ["1", "3"]


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(inplace=True), nn.Linear(8, 4))


def images(first, n):
    """Images of which each spells its place in the pass, in black and white pixels that no scaling changes."""
    bits = torch.arange(first, first + n)[:, None] >> torch.arange(10) & 1
    pixels = torch.zeros(n, 64)
    pixels[:, :10] = bits.float()
    pixels[:, 63] = 1.0
    return pixels.reshape(n, 1, 8, 8)


def spelled(thumbnail):
    return int(sum(1 << b for b in range(10) if thumbnail.flatten()[b] == 255))


def label_of(index):
    return index * 7 % 5


def batches_of(*sizes):
    """(images, labels) of these sizes, running on."""
    starts = np.cumsum([0, *sizes])
    places = [torch.arange(a, b) for a, b in zip(starts, starts[1:])]
    return [(images(int(one[0]), len(one)), label_of(one)) for one in places]


def compare(loader, models=None, **options):
    models = models or {name: net(seed) for seed, name in enumerate("ab")}
    return sw.compare(models, loader, layers=LAYERS, device="cpu", **options)


def agreements(models, x):
    """The oracle's agreement of layer 1 of the first model and layer 3 of the second on joined inputs."""
    one, other = models.values()
    return reference.agreement(
        reference.representations(one, x, LAYERS)["1"], reference.representations(other, x, LAYERS)["3"]
    )


def expected(models, batches, groups):
    """Agreement by place, by brute force over the batches of each Gram matrix."""
    values = {}
    for group in groups:
        x = torch.cat([batches[k][0] for k in group])
        first = sum(len(one[0]) for one in batches[: group[0]])
        values |= {first + k: value for k, value in enumerate(agreements(models, x))}
    return values


def check(inspection, values):
    """Both ends are the brute force's, and every sample is itself."""
    assert inspection.n_compared == len(values)
    order = sorted(values, key=values.get)
    for ends, places in ((inspection.least, order[:12]), (inspection.most, order[::-1][:12])):
        assert np.allclose([one.value for one in ends], [values[place] for place in places], atol=1e-5)
        for one in ends:
            assert one.value == pytest.approx(values[one.index], abs=1e-5)
            assert one.label == label_of(one.index)
            assert one.thumbnail is None or spelled(one.thumbnail) == one.index


def pictured(inspection):
    return [one.thumbnail is not None for one in (*inspection.least, *inspection.most)]
