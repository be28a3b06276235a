"""Any number of models in one pass and one state."""

import numpy as np
import pytest
import reference
import torch

import simwidget as sw

BATCHES = [torch.randn(64, 6, generator=torch.Generator().manual_seed(b)) for b in range(3)]
MODELS = {name: reference.mlp([6, 9, 5, 4], seed=seed) for seed, name in enumerate(("base", "tuned", "random"))}


def test_three_models_equal_the_three_pairs_run_apart():
    together = sw.compare(MODELS, BATCHES, device="cpu").run(False)
    assert together.models == ("base", "tuned", "random")
    compared = 0
    for first, second in (("base", "tuned"), ("base", "random"), ("tuned", "random")):
        pair = sw.compare({name: MODELS[name] for name in (first, second)}, BATCHES, device="cpu").run(False)
        for view in ((first, second), (first, first), (second, second), (second, first)):
            for measure in ("cka", "dcka"):
                assert np.abs(together.matrix(measure, view) - pair.matrix(measure, view)).max() < 1e-6
                error = together.stderr(measure, view)
                assert np.abs(error - pair.stderr(measure, view)).max() < 1e-6
                compared += error.size
    assert compared == 3 * 4 * 2 * 9


def test_views_by_letter_are_the_first_two_models():
    result = sw.compare(MODELS, BATCHES, device="cpu").run(False)
    assert np.array_equal(result.matrix("cka", "xy"), result.matrix("cka", ("base", "tuned")))
    assert np.array_equal(result.matrix("cka", "yx"), result.matrix("cka", "xy").T)
    assert np.allclose(np.diag(result.matrix("cka", "yy")), 1)


def test_layers_for_each_model():
    result = sw.compare(MODELS, BATCHES, layers={"base": ["0"], "tuned": ["2", "4"]}, device="cpu").run(False)
    assert [result.layers(name) for name in result.models] == [("0",), ("2", "4"), ("0", "2", "4")]
    assert result.matrix("cka", ("base", "tuned")).shape == (1, 2)


def test_one_model_alone():
    result = sw.compare({"base": MODELS["base"]}, BATCHES, device="cpu").run(False)
    assert result.matrix().shape == (3, 3)
    assert list(result.views()) == [("base", "base")]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (({},), {}, "mapping of models is empty"),
        ((MODELS,), {"layers_x": ["0"]}, "the names are its keys"),
        ((MODELS,), {"layers": {"bsae": ["0"]}}, "'bsae' that is not compared. Did you mean 'base'"),
    ],
)
def test_wrong_arguments(arguments, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sw.compare(*arguments, BATCHES, **options)
