"""Something fails, at every stage of a run: the state, the message, the numbers so far, the hooks, and going on."""

import functools
import threading
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.estimate.accumulators import GramAccumulator
from simwidget.gram.row_maps import UCentredRows

N = 6
FAILS_IN = 3


class Trouble(Exception):  # noqa: N818
    pass


class Mendable(nn.Module):
    """A network of two layers that fails in one batch, until it is mended."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)
        self.fails_in = None
        self.calls = 0

    def forward(self, x):
        x = self.first(x)
        self.calls += 1
        if self.fails_in is not None and self.calls > self.fails_in:
            raise Trouble("broken")
        return self.second(x)


class Loader(Sequence):
    """Six batches, one of which cannot be read until it is mended."""

    def __init__(self):
        self.batches = list(torch.randn(N, 32, 6, generator=torch.Generator().manual_seed(1)))
        self.fails_in = None

    def __len__(self):
        return N

    def __getitem__(self, index):
        if index == self.fails_in:
            raise Trouble("broken")
        return self.batches[index]


class Setting:
    """A comparison in which one stage fails in batch 3."""

    def __init__(self, stage, tmp_path=None, **options):
        self.models = {"a": Mendable(0), "b": Mendable(1)}
        self.loader = Loader()
        self.mended = threading.Event()
        self.patches = []
        if stage == "loader":
            self.loader.fails_in = FAILS_IN
        elif stage.startswith("forward"):
            self.models[stage[-1]].fails_in = FAILS_IN
        elif stage == "hook":
            options["representation"] = self.failing(FAILS_IN * 4 + 1, lambda x: x)
        elif stage == "inputs":
            options["inputs"] = {"a": self.failing(FAILS_IN, lambda x: x)}
        elif stage == "confounder":
            options["confounder"] = self.failing(FAILS_IN, lambda x: x)
        elif stage == "row":
            self.replace(UCentredRows, "__call__")
        elif stage == "accumulate":
            self.replace(GramAccumulator, "product")
        self.comparison = sw.compare(self.models, self.loader, gram_batch=32, device="cpu", **options)

    def failing(self, after, deed):
        """A function that fails once it was called so often, until it is mended."""
        calls = []

        def fails(*args):
            calls.append(1)
            if len(calls) > after and not self.mended.is_set():
                raise Trouble("broken")
            return deed(*args)

        return fails

    def replace(self, owner, name):
        original, failing = getattr(owner, name), self.failing(FAILS_IN, lambda *args: None)

        def replaced(*args, **kwargs):
            failing()
            return original(*args, **kwargs)

        self.patches.append(patch.object(owner, name, replaced))

    def __enter__(self):
        for one in self.patches:
            one.start()
        return self

    def __exit__(self, *exc):
        for one in self.patches:
            one.stop()

    def mend(self):
        self.mended.set()
        self.loader.fails_in = None
        for model in self.models.values():
            model.fails_in = None


@functools.cache
def expected(n=N):
    """The result of a run over so many batches in which nothing fails."""
    setting = Setting("nothing")
    return sw.compare(setting.models, setting.loader.batches[:n], gram_batch=32, device="cpu").run(False)


@pytest.fixture(autouse=True, scope="module")
def nothing_fails():
    for n in (FAILS_IN, N):
        expected(n)


def assert_same(result, other):
    for measure in ("cka", "dcka", "cka-dcka"):
        for view in ("xy", "xx", "yy"):
            np.testing.assert_array_equal(result.matrix(measure, view), other.matrix(measure, view))
            np.testing.assert_array_equal(result.stderr(measure, view), other.stderr(measure, view))


def n_hooks(models):
    return sum(len(module._forward_hooks) for model in models.values() for module in model.modules())


STAGES = {
    "loader": ["in batch 3 of the loader"],
    "forward a": ["in the forward pass of model 'a' after layer 'first'", "in batch 3 of the loader"],
    "forward b": ["in the forward pass of model 'b' after layer 'first'", "in batch 3 of the loader"],
    "hook": ["in the forward pass of model 'a' after layer 'second'", "in batch 3 of the loader"],
    "inputs": ["in inputs= of model 'a'", "in batch 3 of the loader"],
    "confounder": ["in batch 3 of the loader"],
    "row": ["in batch 4 of the loader"],
    "accumulate": ["in batch 4 of the loader"],
}


@pytest.mark.parametrize("way", ["run", "start"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_fails_and_the_run_goes_on_when_it_is_mended(stage, way):
    with Setting(stage) as setting:
        comparison = setting.comparison
        with pytest.raises(Trouble, match="broken"):
            comparison.run(False) if way == "run" else comparison.start().wait(60)
        assert comparison.state == "failed"
        assert isinstance(comparison.error, Trouble)
        assert n_hooks(setting.models) == 0
        assert all(model.training for model in setting.models.values())
        described = comparison.progress.error
        assert described.startswith("Trouble: broken [")
        for place in STAGES[stage]:
            assert place in described
        assert any(described in note for note in comparison.result.notes)
        assert_same(comparison.result, expected(FAILS_IN))
        setting.mend()
        if way == "run":
            comparison.run(False)
        else:
            comparison.resume()
            comparison.wait(60)
        assert comparison.state == "finished"
        assert comparison.error is None
        assert comparison.progress.error is None
        assert not comparison.result.notes
        assert comparison.result.complete
        assert n_hooks(setting.models) == 0
        assert_same(comparison.result, expected())


@pytest.mark.parametrize("stage", STAGES)
def test_it_fails_again_as_long_as_nothing_is_mended(stage):
    with Setting(stage) as setting:
        for _ in range(3):
            with pytest.raises(Trouble):
                setting.comparison.run(False)
            assert setting.comparison.state == "failed"
            assert_same(setting.comparison.result, expected(FAILS_IN))


@pytest.mark.parametrize("stage", STAGES)
def test_a_failed_run_leaves_a_checkpoint(stage, tmp_path):
    path = tmp_path / "run.simw"
    functions = {"hook": "representation", "inputs": "inputs", "confounder": "confounder"}
    with Setting(stage, checkpoint=path, checkpoint_seconds=0) as setting:
        with pytest.raises(Trouble):
            setting.comparison.run(False)
        setting.mend()
        if stage in functions:
            return  # the options differ: such runs go on in their process
        again = sw.resume(path, setting.models, setting.loader, device="cpu")
        assert again.n_batches == FAILS_IN
        assert_same(again.run(False), expected())


def test_a_display_that_fails_does_not_stop_the_run():
    setting = Setting("nothing")

    def broken():
        raise Trouble("no page")

    setting.comparison.watch(broken)
    with pytest.warns(UserWarning, match="a display of this run failed: Trouble: no page"):
        setting.comparison.run(False)
    assert setting.comparison.state == "finished"
    assert_same(setting.comparison.result, expected())


def test_a_page_that_cannot_be_written_to_does_not_stop_the_run():
    setting = Setting("nothing")
    widget = sw.SimilarityHeatmap(setting.comparison)

    def broken(content, buffers=None):
        raise Trouble("no page")

    widget.send = broken
    widget._on_message(widget, {"type": "ready", "client": "page", "run_id": "", "have_seq": 0}, [])
    setting.comparison.start().wait(60)
    assert setting.comparison.state == "finished"
    assert_same(setting.comparison.result, expected())
    widget.close()


def test_an_iterator_cannot_begin_again():
    def batches():
        yield torch.randn(32, 6)
        raise Trouble("broken")

    comparison = sw.compare({"a": Mendable(0)}, batches(), gram_batch=32, device="cpu")
    with pytest.raises(Trouble):
        comparison.run(False)
    with pytest.raises(RuntimeError, match="cannot be iterated again after its error: pass a DataLoader"):
        comparison.run(False)
    assert comparison.result.n_samples == 32


def test_a_shuffled_loader_goes_on_in_its_order():
    """The batches that were done are passed over in the order in which they had come."""
    seen = []

    class Data(torch.utils.data.Dataset):
        broken = True

        def __len__(self):
            return 96

        def __getitem__(self, index):
            seen.append(index)
            if len(seen) == 64 and self.broken:
                raise Trouble("broken")
            return torch.full((6,), float(index))

    data = Data()
    loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
    comparison = sw.compare({"a": Mendable(0)}, loader, gram_batch=16, device="cpu")
    with pytest.raises(Trouble):
        comparison.run(False)
    data.broken = False
    first = seen[:]
    seen.clear()
    comparison.run(False)
    assert seen[: len(first)] == first
    assert comparison.result.n_samples == 96
    assert sorted(seen) == list(range(96))


@pytest.mark.parametrize("how", ["close", "finish"])
def test_a_failed_run_holds_its_models_until_it_is_closed(how):
    import gc
    import weakref

    setting = Setting("forward a")
    with pytest.raises(Trouble):
        setting.comparison.run(False)
    comparison, model = setting.comparison, weakref.ref(setting.models["a"])
    result = comparison.result
    if how == "close":
        comparison.close()
        with pytest.raises(RuntimeError, match="a comparison runs once"):
            comparison.run(False)
    else:
        setting.mend()
        result = comparison.run(False)
    comparison._lifecycle._error = None  # the traceback of an error holds what was running
    del setting
    gc.collect()
    assert model() is None
    assert_same(comparison.result, result)


def test_values_that_are_not_finite_cost_their_layer_alone():
    """It is named, with where and how often; the others go on."""

    class Bursts(Mendable):
        def forward(self, x):
            x = self.first(x)
            self.calls += 1
            hidden = self.second(x * torch.inf if self.calls in (3, 5) else x)
            return hidden

    result = sw.compare({"a": Bursts(0)}, Loader(), gram_batch=32, device="cpu").run(False)
    assert result.reasons("cka", "a") == {"second": "non-finite values in batch 2 (float32), and 1 more time"}
    assert np.isfinite(result.matrix("cka")[0, 0])
    assert np.isnan(result.matrix("cka")[1]).all()


def test_two_comparisons_run_at_once():
    """Each has the numbers that it has alone."""
    first, second = Setting("nothing"), Setting("nothing")
    second.models["a"], second.models["b"] = Mendable(2), Mendable(3)
    alone = sw.compare(second.models, second.loader, gram_batch=32, device="cpu").run(False)
    runs = [sw.compare(one.models, one.loader, gram_batch=32, device="cpu").start() for one in (first, second)]
    found = [run.wait(60) for run in runs]
    assert_same(found[0], expected())
    assert_same(found[1], alone)


def test_training_another_model_beside_a_run():
    """Neither notices the other: the trained weights and the numbers are those of each alone."""

    def train():
        model = Mendable(5)
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
        generator = torch.Generator().manual_seed(2)
        for _ in range(20):
            optimiser.zero_grad()
            model(torch.randn(8, 6, generator=generator)).square().sum().backward()
            optimiser.step()
        return model.state_dict()

    alone = train()
    setting = Setting("nothing")
    begun, trained = threading.Event(), threading.Event()

    def wait(batch):
        begun.set()
        assert trained.wait(60)
        return batch

    run = sw.compare(setting.models, setting.loader, gram_batch=32, device="cpu", inputs={"a": wait}).start()
    assert begun.wait(60)  # the run is in the middle of a batch
    beside = train()
    trained.set()
    assert_same(run.wait(60), expected())
    assert all(torch.equal(beside[name], alone[name]) and alone[name].isfinite().all() for name in alone)


def test_calling_a_compared_model_beside_its_run_is_not_counted():
    """Its mode is that of the run meanwhile, and its outputs are right; the numbers are those of the loader alone."""
    setting = Setting("nothing")
    model, x = setting.models["a"], torch.randn(5, 6)
    right = model(x).detach()
    begun, called = threading.Event(), threading.Event()

    def wait(output):
        begun.set()
        assert called.wait(60)
        return output

    run = sw.compare(setting.models, setting.loader, gram_batch=32, device="cpu", representation=wait).start()
    assert begun.wait(60)
    assert not model.training
    assert torch.equal(model(x).detach(), right)
    called.set()
    assert_same(run.wait(60), expected())
    assert model.training


def test_a_pause_gives_the_scratch_memory_back():
    setting = Setting("nothing")
    comparison = setting.comparison
    held = []

    def hold():
        if comparison.n_batches == 2 and not held:
            held.append(1)
            comparison.pause()

    comparison.watch(hold)
    comparison.start()
    assert comparison.wait_for_state("paused", 60)
    assert not comparison._held.single_pass._grams._kernel._scratch
    comparison.resume()
    comparison.wait_for_batches(3, 60)
    assert_same(comparison.wait(60), expected())
