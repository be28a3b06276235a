"""What a notebook saves: all numbers, close enough, and small."""

import json

import numpy as np
import pytest
import torch
from results import made, resnet
from snapshots import read

import simwidget as sw
from simwidget.widget import encoding

FRONT_END = 180_000
"""Bytes that the built front end may have: the loader, and what all heatmaps of a notebook share."""
SAVED = 1_200_000
MEASURES = ("cka", "dcka", "cka-dcka")


def saved(result):
    """The synced state's size without the front end's own, as bytes travel."""
    heatmap = sw.SimilarityHeatmap(result)
    state = heatmap.get_state(drop_defaults=False)
    heatmap.close()
    shared = heatmap.front_end
    own = len(state.pop("_esm")) + len(shared.javascript) + len(shared.css)
    assert own < FRONT_END
    return len(state.pop("snapshot")) + len(json.dumps(state))


def furthest(result):
    """The largest error of decoding, of values and of standard errors."""
    snapshot, meta = encoding.encode_snapshot(result, "r", 1)
    off = []
    for view in result.views():
        for measure in MEASURES:
            values, stderr = read(snapshot, meta, result, measure, view)
            for got, exact in ((values, result.matrix(measure, view)), (stderr, result.stderr(measure, view))):
                assert np.array_equal(np.isnan(got), np.isnan(exact))
                off.append(np.nanmax(np.abs(got - exact)))
    return max(off)


@pytest.mark.parametrize("noise", [0.003, 0.02])
def test_a_large_result_fits_into_a_notebook(noise):
    names = [f"features.denseblock{k % 4}.denselayer{k}.conv1" for k in range(203)]
    result = made(names, [f"layer{k % 4}.{k}.conv1" for k in range(346)], ("densenet121", "resnet101"), noise)
    assert len(list(result.views())) == 3
    assert saved(result) + FRONT_END < SAVED
    assert furthest(result) < 1e-4


def test_real_networks_fit_into_a_notebook():
    from torchvision.models import densenet121, resnet101

    models = {"densenet121": densenet121(), "resnet101": resnet101()}
    batches = [torch.randn(16, 3, 32, 32) for _ in range(2)]
    result = sw.compare(models, batches, device="cpu", gram_batch=16).run(False)
    shape = result.matrix().shape
    assert min(shape) > 200
    per_cell = 203 * 346 / (shape[0] * shape[1])
    assert saved(result) * per_cell + FRONT_END < SAVED
    assert furthest(result) < 1e-4


def test_smaller_results_are_saved_to_five_digits():
    result = made(resnet((2, 2)), resnet((2, 3)), missing=["bn1"])
    assert furthest(result) < 2e-5


def test_where_numbers_hardly_differ_steps_are_small():
    numbers = np.linspace(0.5, 0.5001, 1000)
    data, low, high = encoding._quantised(numbers, coarse=encoding.COARSE)
    steps = np.frombuffer(data[:1000], np.uint8) + 256 * np.frombuffer(data[1000:], np.uint8).astype(int)
    assert low + steps * (high - low) / 65534 == pytest.approx(numbers, abs=1e-6)
    assert steps.max() == encoding.LEAST_STEPS


@pytest.mark.parametrize("value", [0.25, np.nan])
def test_numbers_that_are_all_alike(value):
    result = made(["a"], ["b"], noise=0, missing=["a"] if np.isnan(value) else [])
    assert furthest(result) < 1e-9 if not np.isnan(value) else True
    snapshot, meta = encoding.encode_snapshot(result, "r", 1)
    assert np.array_equal(read(snapshot, meta, result, "cka", "xy")[0], result.matrix(), equal_nan=True)


def test_axes_tell_what_kinds_of_layers_there_are():
    result = made(["conv", "head"], ["fc"], kinds=(("Conv2d", "Linear"), ("Linear",)))
    assert encoding.axes_of(result)[0] == {"model": "x", "layers": ["conv", "head"], "kinds": ["Conv2d", "Linear"]}
    assert encoding.axes_of(made(["conv"], ["fc"]))[1] == {"model": "y", "layers": ["fc"], "kinds": [""]}
