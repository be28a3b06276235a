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
    x, labels = images()
    options = {"representation": "positions", "positions": 30, "confounder": "labels", "device": "cpu"}
    run = sw.compare({"net": net()}, [(x, labels)] * 2, **options)
    run.run(progress=False)
    found = run.inspect("0", "2", "xx")
    assert found.gram_x.shape == (60, 60)  # of two batches, joined
    assert ((found.samples >= 0) & (found.samples < 80)).all()
    assert np.array_equal(found.labels, labels[found.samples % 40].numpy())
    assert np.array_equal(found.labels, np.sort(found.labels))


def test_inputs_of_each_models_own_keep_the_loaders_labels():
    x, labels = images()
    run = sw.compare(
        {"a": net(), "b": net()}, [(x, labels)], inputs=(lambda b: b[0][..., 1:], lambda b: b[0]), device="cpu"
    )
    run.run(progress=False)
    assert np.array_equal(run.inspect("0", "2").labels, np.sort(labels.numpy()))
