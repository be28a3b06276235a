"""Loaders that two running comparisons share, and loaders that give no batch."""

import threading

import numpy as np
import pytest
import reference
import torch
from torch.utils.data import DataLoader

import simwidget as sw

WAIT = 60
N_BATCHES = 4


class Trouble(Exception):  # noqa: N818
    pass


def samples(n=N_BATCHES * 16):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(3))


def batches():
    return list(samples().split(16))


def data_loader(**options):
    return DataLoader(list(samples()), batch_size=16, **options)


def compare(loader, **options):
    return sw.compare({"a": reference.mlp([6, 8, 4], seed=0)}, loader, device="cpu", gram_batch=16, **options)


class OneForAll:
    """A class whose every iterator is the same."""

    def __init__(self):
        self.batches = iter(batches())

    def __iter__(self):
        return self.batches


ONE_ITERATOR = {
    "a generator": lambda: (batch for batch in batches()),
    "a list_iterator": lambda: iter(batches()),
    "a map": lambda: map(torch.clone, batches()),
    "a _SingleProcessDataLoaderIter": lambda: iter(data_loader()),
    "an OneForAll with one iterator for all": OneForAll,
    "a DataLoader with one iterator for all": lambda: data_loader(num_workers=1, persistent_workers=True),
}


class Held:
    """A run that is under way: it waits after its first batch, until it is let go."""

    def __init__(self, loader):
        self._reached, self._open = threading.Event(), threading.Event()
        self.comparison = compare(loader)
        self.comparison.watch(self._wait)
        self.comparison.start()
        assert self._reached.wait(WAIT)

    def _wait(self):
        if self.comparison.n_batches == 1:
            self._reached.set()
            assert self._open.wait(WAIT)

    def let_go(self):
        self._open.set()
        return self.comparison.wait(WAIT)


@pytest.mark.parametrize("name", ONE_ITERATOR)
def test_one_iterator_feeds_one_comparison(name):
    loader = ONE_ITERATOR[name]()
    held = Held(loader)
    second = compare(loader)
    try:
        with pytest.raises(RuntimeError) as caught:
            second.run(False)
    finally:
        result = held.let_go()
    assert str(caught.value) == (
        f"the loader, {name}, is being read by another running comparison: each would get a part of the batches; pass "
        "another DataLoader or a list, or wait for the other comparison"
    )
    assert second.state == "failed"
    assert result.n_batches == N_BATCHES
    np.testing.assert_array_equal(result.matrix("cka"), compare(batches()).run(False).matrix("cka"))


@pytest.mark.parametrize("loader", [batches(), data_loader(), data_loader(num_workers=1)], ids=["list", "0", "1"])
def test_a_loader_with_an_iterator_for_each_feeds_two_comparisons(loader):
    held = Held(loader)
    assert compare(loader).run(False).n_batches == N_BATCHES
    assert held.let_go().n_batches == N_BATCHES


def test_persistent_workers_feed_one_comparison_after_the_other():
    """A run that was refused, too, once the other has ended."""
    loader = data_loader(num_workers=1, persistent_workers=True)
    held, second = Held(loader), compare(loader)
    try:
        with pytest.raises(RuntimeError, match="is being read by another"):
            second.run(False)
    finally:
        held.let_go()
    assert second.run(False).n_batches == N_BATCHES
    assert compare(loader).run(False).n_batches == N_BATCHES


def failed_after_one_batch(loader):
    """A comparison whose model failed once, in its second batch."""
    left = [1, 1]

    def forward(model, batch):
        if not left:
            return model(batch)
        left.pop()
        if not left:
            raise Trouble
        return model(batch)

    comparison = compare(loader, forward=forward)
    with pytest.raises(Trouble):
        comparison.run(False)
    assert comparison.n_batches == 1
    return comparison


def test_a_failed_run_goes_on_after_another_has_read_its_iterator():
    """The workers began again for the other run, and begin once more for this one."""
    loader = data_loader(num_workers=1, persistent_workers=True)
    failed = failed_after_one_batch(batches())
    alone = failed.run(False)
    failed = failed_after_one_batch(loader)
    assert compare(loader).run(False).n_batches == N_BATCHES
    result = failed.run(False)
    assert result.n_batches == N_BATCHES
    np.testing.assert_array_equal(result.matrix("cka"), alone.matrix("cka"))


def test_a_failed_run_does_not_go_on_with_what_another_has_left():
    loader = (batch for batch in batches())
    failed = failed_after_one_batch(loader)
    other = compare(loader, max_batches=1).run(False)
    assert other.n_batches == 1
    with pytest.raises(
        RuntimeError, match="a generator, cannot be iterated again after another comparison has read it"
    ):
        failed.run(False)
    assert failed.result.n_batches == 1


def used_up(loader):
    assert len(list(loader)) == N_BATCHES
    return loader


ANOTHER = "make a new one, or pass a DataLoader or a list"
NO_BATCH = {
    "list": (list, "it is a list that has none"),
    "data loader": (
        lambda: DataLoader(list(samples(5)), batch_size=16, drop_last=True),
        "drop_last=True leaves out the only one, which has less than batch_size=16 samples",
    ),
    "used up generator": (
        lambda: used_up(batch for batch in batches()),
        f"this generator is used up, or ended before its first batch: it can be read only once; {ANOTHER}",
    ),
    "empty generator": (
        lambda: (batch for batch in ()),
        f"this generator is used up, or ended before its first batch: it can be read only once; {ANOTHER}",
    ),
    "used up iterator": (
        lambda: used_up(iter(batches())),
        f"a list_iterator can be read only once, and this one is used up or empty; {ANOTHER}",
    ),
}


@pytest.mark.parametrize("in_background", [False, True])
@pytest.mark.parametrize("name", NO_BATCH)
def test_no_batch_is_an_error(name, in_background):
    make, why = NO_BATCH[name]
    comparison = compare(make())
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        _ = comparison.start().wait(WAIT) if in_background else comparison.run(False)
    assert str(caught.value) == f"the loader gave no batch: {why}"
    assert comparison.state == "failed"
    assert comparison.n_batches == 0


def test_a_generator_that_another_run_used_up():
    loader = (batch for batch in batches())
    assert compare(loader).run(False).n_batches == N_BATCHES
    with pytest.raises(ValueError, match="this generator is used up"):
        compare(loader).run(False)


def test_simtorch_needs_a_batch():
    one, other = (sw.SimilarityModel(reference.mlp([6, 8, 4], seed=0), name) for name in "ab")
    cka = sw.CKA(one, other)
    with pytest.raises(ValueError, match="the loader gave no batch: it is a list that has none"):
        cka.compute([])
    assert cka.sim_matrix is None
    assert cka.compute(batches()).shape == (2, 2)


def test_a_list_that_was_empty_and_is_filled():
    loader = []
    comparison = compare(loader)
    with pytest.raises(ValueError, match="gave no batch"):
        comparison.run(False)
    loader += batches()
    assert comparison.run(False).n_batches == N_BATCHES


def test_a_run_without_batches_left_is_complete(tmp_path):
    """It goes on from a checkpoint of its end."""
    path = tmp_path / "run.simw"
    whole = compare(batches(), checkpoint=path).run(False)
    again = sw.resume(path, {"a": reference.mlp([6, 8, 4], seed=0)}, batches(), device="cpu")
    result = again.run(False)
    assert again.state == "finished"
    np.testing.assert_array_equal(result.matrix("cka"), whole.matrix("cka"))
