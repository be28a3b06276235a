"""Whose samples the inspector shows, whatever the batches are."""

import numpy as np
import torch
from torch import nn

import simwidget as sw


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 5, 3))


def images(n=40):
    labels = torch.arange(n) % 4
    return torch.rand(n, 3, 12, 12) + labels[:, None, None, None], labels


def test_a_mapping_has_labels_and_pictures():
    x, labels = images()
    batch = {"pixel_values": x, "labels": labels, "id": [str(k) for k in range(40)]}
    run = sw.compare({"net": net()}, [batch], device="cpu", forward=lambda model, b: model(b["pixel_values"]))
    run.inspect("0", "2", "xx")
    run.run(progress=False)
    found = run.inspect("0", "2", "xx")
    assert np.array_equal(found.labels, np.sort(labels.numpy()))
    assert all(sample.thumbnail.shape == (12, 12, 3) for sample in found.least)
    assert all(sample.label == labels[sample.index] for sample in (*found.least, *found.most))


def test_positions_lie_in_their_samples():
    """Every sample has one value everywhere, so that the Gram matrix tells which of them lie in alike samples."""
    labels = torch.arange(40) % 4
    x = labels[:, None, None, None].expand(40, 3, 6, 6).float()
    options = {"representation": "positions", "positions": 30, "measures": "cka", "device": "cpu"}
    run = sw.compare({"net": nn.Sequential(nn.Conv2d(3, 4, 1))}, [(x, labels)] * 2, **options)
    run.run(progress=False)
    found = run.inspect("0", "0", "xx")
    squares = np.diag(found.gram_x)
    apart = squares[:, None] + squares - 2 * found.gram_x
    assert found.gram_x.shape == (60, 60)  # of two batches, joined
    assert np.array_equal(apart < 1e-3, found.labels[:, None] == found.labels)
    assert np.array_equal(found.labels, labels[found.samples % 40].numpy())
    assert set(found.samples // 40) == {0, 1}


def test_inputs_of_each_models_own_keep_the_loaders_labels():
    x, labels = images()
    batch = ([str(k) for k in range(40)], labels)  # what only the user's functions can read
    run = sw.compare({"a": net(), "b": net()}, [batch], inputs=(lambda b: x[..., 1:], lambda b: x), device="cpu")
    run.run(progress=False)
    assert np.array_equal(run.inspect("0", "2").labels, np.sort(labels.numpy()))
