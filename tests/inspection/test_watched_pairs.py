"""Pairs of layers that are inspected during a run: the extreme samples of all batches since."""

import threading

import numpy as np
import pytest
import reference
import torch
from inspections import (
    WAIT,
    batches_of,
    check,
    compare,
    expected,
    net,
    pictured,
)
from torch import nn

import simwidget as sw


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
