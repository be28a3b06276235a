"""What a run tells of two layers: Gram matrices, spectra, and the samples on which they agree least and most."""

import threading
import weakref

import numpy as np
import pytest
import reference
import torch
from torch import nn

import simwidget as sw
from simwidget.data.thumbnails import thumbnails
from simwidget.inspection.latest_block import gram_spectrum
from simwidget.inspection.pair import effective_dimension

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


# --- since the pair was asked for ------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked_before", [0, 1, 3])
def test_the_ends_are_those_of_all_batches_since(asked_before):
    models = {name: net(seed) for seed, name in enumerate("ab")}
    batches = batches_of(*[40] * 5)

    def loader():
        for k, batch in enumerate(batches):
            if k == asked_before:
                comparison.inspect("1", "3")
            yield batch

    comparison = compare(loader(), models, gram_batch=40)
    comparison.run(False)
    since = range(max(0, asked_before - 1), 5)  # the latest batch is the first that counts
    found = comparison.inspect("1", "3")
    check(found, expected(models, batches, [(k,) for k in since]))
    assert all(pictured(found))


def test_asked_for_while_batches_flow_each_counts_once():
    models = {name: net(seed) for seed, name in enumerate("ab")}
    batches = batches_of(*[20] * 50)
    comparison = compare(batches, models, gram_batch=20).start()
    assert comparison.wait_for_batches(2, WAIT)
    asking = [threading.Thread(target=comparison.inspect, args=("1", "3")) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(WAIT)
    comparison.wait(WAIT)
    found = comparison.inspect("1", "3")
    assert found.n_compared % 20 == 0
    check(found, expected(models, batches, [(k,) for k in range(50 - found.n_compared // 20, 50)]))


def test_the_first_batch_may_come_while_a_pair_is_asked_for(monkeypatch):
    """Until then layers stand in the order of their modules, afterwards in that of their execution."""

    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(64, 8), nn.Linear(64, 8)

        def forward(self, x):
            return self.b(x) + self.a(x)

    model, x = Backwards(), torch.randn(64, 64)
    comparison = sw.compare({"net": model}, [x], device="cpu")
    single_pass = comparison._held.single_pass
    follow = single_pass.inspector.follow

    def meanwhile(*keys):
        follow(*keys)
        with single_pass:
            single_pass.step(x)

    monkeypatch.setattr(single_pass.inspector, "follow", meanwhile)
    found = comparison.inspect("a", "a", "xx")
    exact = reference.centred_gram(model.a(x).detach())
    assert np.allclose(found.gram_x, exact, atol=1e-4)


def test_at_most_four_pairs_are_followed():
    pairs = [("1", "1"), ("1", "3"), ("3", "1"), ("3", "3")]

    def loader():
        for k, batch in enumerate(batches_of(*[64] * 3)):
            if k == 1:
                for pair in pairs:
                    comparison.inspect(*pair)
                comparison.inspect(*pairs[0])  # asked for again: it is no longer the oldest
                comparison.inspect("1", "3", "xx")
                assert len(comparison._held.single_pass.inspector._watches) == 4
            yield batch

    comparison = compare(loader())
    comparison.run(False)
    assert [comparison.inspect(*pair).n_compared for pair in pairs] == [192, 64, 192, 192]
    assert comparison.inspect("1", "3", "xx").n_compared == 192


def test_a_run_that_nobody_looks_into_compares_no_samples(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr("simwidget.inspection.latest_block.agreement", never)
    pictures = []
    picture = lambda x, size: pictures.append(x) or x.new_zeros(len(x), *size)  # noqa: E731
    monkeypatch.setattr("simwidget.data.samples.thumbnails", picture)
    comparison = compare(batches_of(*[64] * 5))
    comparison.run(False)
    assert np.isfinite(comparison.result.matrix("cka")).all()
    assert len(pictures) == 1  # of the latest batch, instead of the loader's own tensors
    with pytest.raises(AssertionError):
        comparison.inspect("1", "3")


# --- what is kept ----------------------------------------------------------------------------------------------------


def overwriting(sizes, kind):
    """A loader that writes every batch into the same memory."""
    buffer = torch.zeros(max(sizes), 1, 8, 8)
    shared = buffer.numpy()
    for x, labels in batches_of(*sizes):
        if kind == "torch":
            yield buffer[: len(x)].copy_(x), labels
        else:
            shared[: len(x)] = x.numpy()
            yield torch.from_numpy(shared)[: len(x)], labels
    if kind == "torch":
        buffer.zero_()


@pytest.mark.parametrize("kind", ["torch", "numpy"])
@pytest.mark.parametrize("followed", [True, False])
def test_a_loader_that_overwrites_its_buffer_yields_no_wrong_pictures(kind, followed):
    models = {name: net(seed) for seed, name in enumerate("ab")}
    sizes, groups = [10] * 7, [(0, 1), (2, 3), (4, 5), (6,)]
    comparison = compare(overwriting(sizes, kind), models, gram_batch=16)
    if followed:
        comparison.inspect("1", "3")
    comparison.run(False)
    found = comparison.inspect("1", "3")
    check(found, expected(models, batches_of(*sizes), groups if followed else groups[-1:]))  # none spells another
    assert all(pictured(found)) if followed else not any(pictured(found))


@pytest.mark.parametrize("asked_before", [1, 2])
def test_looking_in_between_an_overwriting_loader_s_batches_yields_no_wrong_pictures(asked_before):
    def loader():
        for k, batch in enumerate(overwriting([32] * 4, "torch")):
            if k == asked_before:
                first.append(comparison.inspect("1", "3"))  # the latest batch is overwritten by now
            yield batch

    first = []
    models = {name: net(seed) for seed, name in enumerate("ab")}
    comparison = compare(loader(), models, gram_batch=32)
    comparison.run(False)
    assert not any(pictured(first[0]))
    found = comparison.inspect("1", "3")
    check(found, expected(models, batches_of(*[32] * 4), [(k,) for k in range(asked_before - 1, 4)]))
    assert {one.thumbnail is not None for one in found.least if one.index >= 32 * asked_before} == {True}


def test_a_picture_that_the_loader_overwrites_while_it_is_made_is_not_kept(monkeypatch):
    def slow(x, size):
        made = thumbnails(x, size)
        x.zero_()
        return made

    monkeypatch.setattr("simwidget.data.samples.thumbnails", slow)
    comparison = compare(batches_of(64))
    comparison.run(False)
    assert not any(pictured(comparison.inspect("1", "3")))


def test_inference_tensors_have_thumbnails_only_if_made_at_once():
    def loader():
        for x, labels in batches_of(64, 64):
            with torch.inference_mode():
                x = x.clone()
            yield x, labels

    for followed in (True, False):
        comparison = compare(loader())
        if followed:
            comparison.inspect("1", "3")
        comparison.run(False)
        assert set(pictured(comparison.inspect("1", "3"))) == {followed}


def test_few_of_the_loader_s_tensors_are_held_and_none_after_the_run():
    given, alive = [], []

    def loader():
        for first in range(0, 90, 10):
            x = images(first, 10)
            given.append(weakref.ref(x))
            yield x, label_of(torch.arange(first, first + 10))
            del x
            alive.append(sum(one() is not None for one in given))

    comparison = compare(loader(), gram_batch=20)
    comparison.run(False)
    assert max(alive) == 3  # two of the latest Gram matrices, one that waits to be joined
    assert not any(one() is not None for one in given)
    assert all(pictured(comparison.inspect("1", "3")))


def test_of_large_batches_the_first_samples_are_kept_and_all_compared(monkeypatch):
    limit = 5 * 10 * 10 * 4
    monkeypatch.setattr("simwidget.run.single_pass.GRAM_BYTES", limit)
    models = {name: net(seed) for seed, name in enumerate("ab")}
    batches = batches_of(40, 40)
    comparison = compare(batches, models)
    comparison.inspect("1", "3")
    comparison.run(False)
    found = comparison.inspect("1", "3")
    assert comparison._held.freeze().latest.grams.nbytes <= limit
    assert found.samples.tolist() == sorted(range(10), key=label_of)
    assert found.labels.tolist() == sorted(map(label_of, range(10)))
    check(found, expected(models, batches, [(0, 1)]))
    x = reference.representations(models["b"], batches[0][0][:10], LAYERS)["3"]
    assert np.allclose(found.gram_y, reference.centred_gram(x)[found.samples][:, found.samples], atol=1e-5)
    assert found.dimension_y == pytest.approx(reference.participation_ratio(x), rel=1e-4)
    assert all(pictured(found))


def test_after_a_failed_batch_the_samples_before_it_stay_aligned():
    models = {name: net(seed) for seed, name in enumerate("ab")}
    batches = batches_of(10, 10, 10, 10)

    def loader():
        yield from batches[:3]
        yield images(30, 10).flatten(1)[:, :50], label_of(torch.arange(30, 40))

    comparison = compare(loader(), models, gram_batch=20)
    comparison.inspect("1", "3")
    with pytest.raises((RuntimeError, ValueError)):
        comparison.run(False)
    found = comparison.inspect("1", "3")
    check(found, expected(models, batches, [(0, 1), (2,)]))
    assert sorted(found.samples) == list(range(20, 30))
    assert all(pictured(found))


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
