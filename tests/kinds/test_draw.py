"""Some of the tokens or positions as samples: drawn with a seed, and the same ones wherever a layer is read."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import simwidget as sw
from kinds.nets import noise, seeded
from kinds.representations import Tokenwise, with_holes


class Stages(nn.Module):
    """Layers of equal content, first and last, and at two resolutions."""

    def __init__(self):
        super().__init__()
        self.before = nn.Identity()
        self.coarse = nn.Conv2d(3, 5, 2, stride=2)
        self.fine = nn.Upsample(scale_factor=2)
        self.other = nn.Conv2d(5, 4, 1)
        self.after = nn.Identity()

    def forward(self, x):
        self.other(torch.relu(self.fine(self.coarse(self.before(x)))))
        return self.after(x.clone())


LAYERS = ["before", "coarse", "fine", "other", "after"]


def drawn(batches=None, models=None, positions=50, seed=0, layers=LAYERS):
    models = models or {"net": seeded(Stages)}
    return sw.compare(
        models, batches or noise(8, 3, 8, 8), layers=layers, representation="positions", positions=positions, seed=seed,
        gram_batch=1, device="cpu",
    ).run(progress=False)  # fmt: skip


def test_so_many_are_drawn():
    assert drawn().n_samples == 3 * 50
    assert drawn(positions=1000).n_samples == 3 * 8 * 8 * 8


def test_layers_are_read_in_the_same_places():
    """Also those of another resolution: one cell covers all places that were made of it."""
    result = drawn()
    names = result.layers("net")
    cka = result.matrix("cka")
    for one, same in (("before", "after"), ("coarse", "fine")):
        assert cka[names.index(one), names.index(same)] == pytest.approx(1, abs=1e-6)
    assert cka[names.index("before"), names.index("fine")] < 0.9


def test_the_input_is_read_in_the_same_places():
    assert drawn().reasons("dcka", "net") == dict.fromkeys(["before", "after"], "explained by the confounder")


def test_all_models_are_read_in_the_same_places():
    net = seeded(Stages)
    result = drawn(models={"a": net, "b": copy.deepcopy(net)})
    assert result.matrix("cka", ("a", "b")).diagonal() == pytest.approx(np.ones(5), abs=1e-6)


def test_a_seed_draws_the_same_again():
    first = drawn(seed=3)
    for measure in first.measures:
        np.testing.assert_array_equal(drawn(seed=3).matrix(measure), first.matrix(measure))
    assert np.abs(drawn(seed=4).matrix("cka") - first.matrix("cka")).max() > 1e-3


def test_each_batch_has_a_draw_of_its_own():
    (batch,) = noise(8, 3, 8, 8, count=1)
    once, again = drawn([batch]), drawn([batch] * 3)
    assert np.abs(once.matrix("cka") - again.matrix("cka")).max() > 1e-3


@pytest.mark.filterwarnings("ignore:.*attention_mask")
def test_padding_is_never_drawn():
    """There are no numbers in it, and one of them would leave the layers without theirs."""
    result = sw.compare(
        {"net": seeded(Tokenwise)}, list(with_holes()), representation="tokens", positions=40, device="cpu"
    ).run(progress=False)
    assert result.n_samples == 3 * 40
    assert np.isfinite(result.matrix("cka")).all()
    assert np.isfinite(result.matrix("dcka")).all()
