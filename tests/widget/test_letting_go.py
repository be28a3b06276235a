"""A closed heatmap holds nothing: not the comparison, nor its models, loader and Gram matrices, nor a thread."""

import gc
import threading
import weakref

import pytest
import reference
import torch

import simwidget as sw

SECONDS = 20.0


class Loader:
    """Gives a batch at a time, and from the second one on only when it may."""

    def __init__(self, n=4):
        self.n, self.given, self.may = n, 0, threading.Event()

    def __len__(self):
        return self.n

    def __iter__(self):
        for _ in range(self.n):
            if self.given:
                self.may.wait(SECONDS)
            self.given += 1
            yield torch.randn(64, 6)


class Shown:
    """A comparison on a heatmap whose page acknowledges every frame; whether its parts are there can be asked."""

    def __init__(self, state, of=sw.SimilarityHeatmap):
        models = {name: reference.mlp([6, 8, 4]) for name in ("a", "b")}
        loader = Loader()
        self.may, self.modules = loader.may, [module for net in models.values() for module in net.modules()]
        self.comparison = sw.compare(models, loader, device="cpu")
        self.parts = {name: weakref.ref(model) for name, model in models.items()}
        self.parts |= {"loader": weakref.ref(loader), "comparison": weakref.ref(self.comparison)}
        self.widget = of(self.comparison)
        self.heatmap = getattr(self.widget, "heatmap", self.widget)
        self.framed = threading.Event()
        self.heatmap.send = self._page
        self.heatmap._on_message(None, {"type": "ready", "client": "page", "run_id": "", "have_seq": 0}, [])
        self.heatmap.select("0", "2")
        self.comparison.start()
        self.comparison.wait_for_batches(1, SECONDS)
        if state != "running":
            self.end("stop" if state == "stopped" else None)
        self.comparison.inspect("0", "2")
        self.parts["Gram matrices"] = weakref.ref(self.comparison._held.freeze(sums=False).latest.grams)
        assert self.framed.wait(SECONDS)

    def _page(self, content, buffers=None):
        if content["type"] == "frame":
            ack = {"type": "ack", "client": "page", "seq": content["seq"], "hidden": False}
            self.heatmap._on_message(None, ack, [])
            self.framed.set()

    def end(self, how=None):
        if how == "stop":
            self.comparison.stop()
        self.may.set()
        self.comparison.wait(SECONDS)
        thread = self.comparison._thread
        thread.join(SECONDS)
        assert not thread.is_alive()

    def close(self):
        publisher = self.heatmap._publisher
        self.heatmap.__dict__.pop("send")
        self.widget.close()
        publisher._thread.join(SECONDS)
        assert not publisher._thread.is_alive()

    @property
    def there(self):
        gc.collect()
        return {name for name, ref in self.parts.items() if ref() is not None}

    @property
    def hooks(self):
        return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in self.modules)


@pytest.fixture
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert not {one for one in set(threading.enumerate()) - before if one.name.startswith("simwidget")}


@pytest.mark.parametrize("of", [sw.SimilarityHeatmap, sw.SimilarityExplorer])
@pytest.mark.parametrize("state", ["finished", "stopped"])
@pytest.mark.usefixtures("no_thread_is_left")
def test_of_a_run_that_has_ended(state, of):
    shown = Shown(state, of)
    assert shown.comparison.state == state
    assert shown.hooks == 0
    shown.modules.clear()
    assert shown.there == {"comparison", "Gram matrices"}
    shown.close()
    assert not shown.comparison._lifecycle._watchers
    assert shown.heatmap.result.n_samples == shown.comparison.result.n_samples  # while others hold it
    shown.comparison = None
    assert shown.there == set()  # although the widget itself is still held
    with pytest.raises(RuntimeError, match="closed"):
        shown.heatmap.result  # noqa: B018


@pytest.mark.usefixtures("no_thread_is_left")
def test_closed_during_a_run_which_goes_on():
    shown = Shown("running")
    shown.close()
    assert shown.comparison.state == "running"
    assert shown.hooks > 0
    shown.end()
    assert (shown.comparison.state, shown.comparison.n_batches) == ("finished", 4)
    assert shown.hooks == 0
    shown.modules.clear()
    assert shown.there == {"comparison"}  # with the Gram matrices of a later batch
    shown.comparison = None
    assert shown.there == set()


@pytest.mark.usefixtures("no_thread_is_left")
def test_closed_and_forgotten_during_a_run_which_goes_on():
    shown = Shown("running")
    loader, thread = shown.parts["loader"](), shown.comparison._thread
    shown.close()
    shown.comparison = shown.widget = shown.heatmap = None
    assert shown.there == {"a", "b", "loader", "comparison", "Gram matrices"}
    shown.may.set()
    thread.join(SECONDS)
    assert loader.given == 4
    assert shown.hooks == 0
    loader = None
    shown.modules.clear()
    assert shown.there == set()


def test_never_started():
    models = {name: reference.mlp([6, 8, 4]) for name in ("a", "b")}
    loader = Loader()
    comparison = sw.compare(models, loader, device="cpu")
    gone = [weakref.ref(one) for one in (*models.values(), loader, comparison)]
    widget = sw.SimilarityHeatmap(comparison)
    widget.close()
    del models, loader, comparison
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4


def test_of_a_result_the_numbers_stay(result):
    widget = sw.SimilarityHeatmap(result)
    widget.close()
    assert widget.result is result


def test_a_closed_explorer_is_gone(result):
    explorer = sw.SimilarityExplorer(result)
    gone = [weakref.ref(one) for one in (explorer, explorer.heatmap, explorer.layer_x)]
    explorer.close()
    del explorer
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3
