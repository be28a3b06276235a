"""What a run holds of the loader's tensors for thumbnails, and loaders that overwrite them."""

import weakref

import numpy as np
import pytest
import reference
import torch
from inspections import LAYERS, batches_of, check, compare, expected, images, label_of, net, pictured

from simwidget.data.thumbnails import thumbnails


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
