"""The inspection of two layers: Gram matrices, spectra, and the samples on which they agree least and most."""

import numpy as np
import pytest
import reference
import torch
from inspections import batches_of, check, compare, expected, label_of, net, pictured, spelled
from torch import nn

import simwidget as sw
from simwidget.inspection.pair_inspection import effective_dimension
from simwidget.inspection.spectrum import gram_spectrum

# --- the numbers -----------------------------------------------------------------------------------------------------


def test_everything_is_the_oracle_s_on_the_embedded_networks():
    models, loader, _ = sw.demo.load()
    pair = {name: models[name] for name in ("seed 0", "seed 1")}
    comparison = sw.compare(pair, loader, layers=["stage?"], device="cpu")
    comparison.run(progress=False)
    found = comparison.inspect("stage1", "stage3")
    batches = list(loader)
    last, labels = batches[-1]
    first = sum(len(one) for one, _ in batches[:-1])
    x, y = (
        reference.representations(models[name], last, [layer])[layer]
        for name, layer in (("seed 0", "stage1"), ("seed 1", "stage3"))
    )
    order = np.argsort(labels.numpy(), kind="stable")
    assert np.array_equal(found.samples, first + order)
    assert np.array_equal(found.labels, labels.numpy()[order])
    for gram, one in ((found.gram_x, x), (found.gram_y, y)):
        assert gram.dtype == np.float32
        exact = reference.centred_gram(one)[order][:, order]
        assert np.allclose(gram, exact, atol=1e-5 * np.abs(exact).max())
    assert np.array_equal(found.gram_y, comparison.gram("stage3", "seed 1")[order][:, order])
    for spectrum, one in ((found.spectrum_x, x), (found.spectrum_y, y)):
        assert np.allclose(spectrum, reference.spectrum(one), atol=1e-6)
    assert found.dimension_x == pytest.approx(reference.participation_ratio(x), rel=1e-5)
    assert found.dimension_y == pytest.approx(reference.participation_ratio(y), rel=1e-5)
    assert found.n_samples == found.n_compared == len(last)
    values = reference.agreement(x, y)
    for ends, places in ((found.least, np.argsort(values)[:12]), (found.most, np.argsort(-values)[:12])):
        assert [one.index for one in ends] == [first + k for k in places]
        assert [one.label for one in ends] == labels[places].tolist()
        assert np.allclose([one.value for one in ends], values[places], atol=1e-5)
        for one, k in zip(ends, places):
            image = last[k].permute(1, 2, 0).numpy()
            assert np.array_equal(one.thumbnail, np.rint(255 * (image - image.min()) / np.ptp(image)))
    assert (found.model_x, found.layer_x, found.model_y, found.layer_y) == ("seed 0", "stage1", "seed 1", "stage3")


def test_spectra_and_dimensions():
    assert effective_dimension(gram_spectrum(torch.eye(4))) == pytest.approx(4)
    assert effective_dimension(gram_spectrum(torch.tensor([1.0, 0, 0, 0]).diag())) == pytest.approx(1)
    assert np.isnan(effective_dimension(gram_spectrum(torch.zeros(3, 3))))
    assert np.isnan(effective_dimension(gram_spectrum(torch.full((3, 3), torch.inf))))


def test_the_other_way_round_is_the_same_pair():
    comparison = compare(batches_of(64, 64))
    comparison.inspect("1", "3")
    comparison.run(False)
    there, back = comparison.inspect("1", "3"), comparison.inspect("3", "1", "yx")
    assert np.array_equal(there.gram_x, back.gram_y)
    assert np.array_equal(there.spectrum_y, back.spectrum_x)
    assert (back.model_x, back.layer_x, back.layer_y) == ("b", "3", "1")
    assert [one.index for one in there.least] == [one.index for one in back.least]
    assert back.n_compared == 128
    itself = comparison.inspect("1", "1", "xx")
    assert np.allclose([one.value for one in itself.least], 1)
    assert np.array_equal(itself.gram_x, itself.gram_y)


# --- whose samples they are ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before the run", "after it"])
def test_joined_batches_and_a_small_last_one_stay_aligned(when):
    models = {name: net(seed) for seed, name in enumerate("ab")}
    batches = batches_of(10, 10, 7, 20, 3, 30, 6)
    groups = [(0, 1), (2, 3), (4, 5), (6,)]
    comparison = compare(batches, models, gram_batch=16)
    if when == "before the run":
        assert comparison.inspect("1", "3") is None
    comparison.run(False)
    found = comparison.inspect("1", "3")
    check(found, expected(models, batches, groups if when == "before the run" else groups[-1:]))
    assert all(pictured(found))
    assert found.samples.tolist() == sorted(range(80, 86), key=label_of)
    assert found.labels.tolist() == sorted(label_of(index) for index in range(80, 86))


def test_samples_that_are_left_out_are_counted():
    comparison = compare(batches_of(20, 3, 20), gram_batch=1)
    comparison.inspect("1", "3")
    with pytest.warns(UserWarning, match="3 samples in 1 batches were left out"):
        comparison.run(False)
    found = comparison.inspect("1", "3")
    assert sorted(found.samples) == list(range(23, 43))
    assert found.n_compared == 40
    assert not {one.index for one in (*found.least, *found.most)} & {20, 21, 22}


def test_without_labels_the_samples_stay_in_their_order():
    for labels in (None, torch.rand(64)):
        batches = [x if labels is None else (x, labels) for x, _ in batches_of(64, 64)]
        comparison = compare(batches)
        comparison.run(False)
        found = comparison.inspect("1", "3")
        assert found.labels is None
        assert found.samples.tolist() == list(range(64, 128))
        assert {one.label for one in found.least} == {None}
        assert all(spelled(one.thumbnail) == one.index for one in found.least)


def test_inputs_that_are_no_images_have_no_thumbnails():
    comparison = compare([(x.flatten(1), labels) for x, labels in batches_of(64)])
    comparison.run(False)
    found = comparison.inspect("1", "3")
    assert len(found.least) == 12
    assert not any(pictured(found))


# --- where there is nothing to tell ----------------------------------------------------------------------------------


def test_a_constant_layer_has_a_gram_matrix_of_zeros_and_no_samples():
    models = {name: net(seed) for seed, name in enumerate("ab")}
    nn.init.zeros_(models["b"][3].weight)
    comparison = compare(batches_of(64), models)
    comparison.run(False)
    found = comparison.inspect("1", "3")
    assert not found.gram_y.any()
    assert np.isnan(found.dimension_y)
    assert (found.least, found.most, found.n_compared) == ((), (), 0)
    assert np.isfinite(found.dimension_x)


def test_values_that_are_not_finite_leave_no_number():
    models = {name: net(seed) for seed, name in enumerate("ab")}
    nn.init.constant_(models["b"][3].bias, torch.inf)
    comparison = compare(batches_of(64), models)
    comparison.run(False)
    found = comparison.inspect("1", "3")
    assert np.isnan(found.spectrum_y).all()
    assert np.isnan(found.dimension_y)
    assert found.n_compared == 0


def test_before_there_is_a_gram_matrix_and_for_layers_without_one_there_is_none():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(6, 4), nn.Linear(6, 4)

        def forward(self, x):
            return self.used(x)

    comparison = sw.compare({"net": Idle()}, [torch.randn(64, 6)], layers=["used", "idle"], device="cpu")
    assert comparison.inspect("used", "used", "xx") is None
    comparison.run(False)
    assert comparison.inspect("used", "idle", "xx") is None
    assert comparison.inspect("used", "used", "xx").n_compared == 64


def test_unknown_names_fail_with_near_ones():
    comparison = compare(batches_of(64))
    comparison.run(False)
    with pytest.raises(ValueError, match=r"model 'b' has no layer '33' here\. Did you mean '3'"):
        comparison.inspect("1", "33")
    with pytest.raises(ValueError, match="there is no model 'bb' here"):
        comparison.inspect("1", "3", ("a", "bb"))
    assert repr(comparison.inspect("1", "3")) == "<Inspection 1 of a × 3 of b: 64 samples, 64 compared>"
