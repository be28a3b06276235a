"""What a page writes into the widget's state: what is valid counts, and everything else is answered with the truth."""

import random
from copy import deepcopy
from dataclasses import fields

import pytest
import traitlets
from ipywidgets.widgets.widget import _put_buffers

import simwidget as sw
from simwidget.widget.exports import Appearance
from simwidget.widget.protocol import WidgetState
from simwidget.widget.trait_checks import FROM_PAGES

OTHER_PAIR = {"model_x": "seed 0", "layer_x": "nobody", "model_y": "seed 0", "layer_y": "stem.0"}


class Comm:
    """The kernel's end of a page's connection."""

    kernel = True
    comm_id = "page"

    def __init__(self):
        self.sent = []

    def send(self, data=None, buffers=None, **_):
        sent = deepcopy(data)
        _put_buffers(sent["state"], sent["buffer_paths"], buffers)
        self.sent.append(sent)

    def on_msg(self, handle):
        self.handle = handle

    def close(self):
        pass

    def write(self, **state):
        """A page writes state; returns what the page shows after all answers, as far as they are about that."""
        self.sent.clear()
        self.handle({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})
        shown = dict(state)
        for data in self.sent:
            shown |= data["state"]
        return {name: shown[name] for name in state}


@pytest.fixture
def page(result):
    widget = sw.SimilarityHeatmap(result)
    widget.comm = Comm()
    widget.selection = {"model_x": "seed 0", "layer_x": "stem.0", "model_y": "seed 0", "layer_y": "stage1.0"}
    yield widget, widget.comm
    widget.close()


WRONG = {
    "measure": ["ckaa", None, 3, ["cka"]],
    "view": [(5, 7), (-1, 0), (0,), "01", None, (0, "1"), (0.5, 1), [[0], [1]], [False, True]],
    "shows": ["nothing", None, {}],
    "selection": [OTHER_PAIR, {}, {"model_x": ["seed 0"]}, {"model_x": "seed 0", "layer_x": {}}, [1], "stem.0"],
    "pinned": [[OTHER_PAIR], [{}], ["stem.0"], {}, None, [None]],
    "open_x": [
        {"nobody": []},
        {"seed 0": ["gone"]},
        {"seed 0": "stage1"},
        {"seed 0": [["stage1"]]},
        {"seed 0": None},
        [["seed 0", []]],
        None,
    ],
    "open_y": [{"seed 0": ["gone"]}],
    "scale": [
        {},
        {"mode": []},
        {"mode": "unit", "palette": ["magma"]},
        {"mode": "unit", "limits": 5},
        {"mode": "range", "limits": {"gone": [0, 1]}},
        {"mode": "range", "limits": {"cka": [1, 0]}},
        {"mode": "range", "limits": {"cka": [0]}},
        {"mode": "range", "limits": {"cka": "01"}},
        {"mode": "range", "limits": {"cka": [None, 1]}},
        {"mode": "range", "limits": {"cka": [False, True]}},
        {"mode": "range", "limits": {"cka": [0, 10**400]}},
        None,
    ],
    "threshold": [-1, None, "0.1", [0.1], float("inf"), float("nan"), True, 10**400],
    "axes": [[], [{"model": "mine", "layers": [], "kinds": []}]],
    "run": [{}, {"state": "finished"}],
    "run_id": ["other"],
    "snapshot": [b"", "text"],
    "snapshot_meta": [{}],
    "_esm": ["export default {}"],
    "front_end": [None, "IPY_MODEL_gone"],
    "_view_name": ["Other", None],
    "_dom_classes": [["mine"]],
    "layout": [None, "IPY_MODEL_gone"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_state_from_a_page_is_refused_and_the_page_is_told(page, name, value):
    widget, comm = page
    before = deepcopy(widget.get_state(name))
    assert comm.write(**{name: value}) == before
    assert widget.get_state(name) == before
    assert all(one["state"] == before for one in comm.sent), "no page is told of the wrong value"


def test_one_wrong_value_keeps_no_other_from_counting(page):
    widget, comm = page
    layers = widget.axes[0]["layers"]
    right = {
        "measure": "dcka",
        "pinned": [widget.selection],
        "open_x": {"seed 0": ["stage1", "stage1"]},
        "scale": {"mode": "range", "limits": {"cka": [0.1, 0.8], "cka ±": [0, 0.01]}, "palette": "viridis"},
        "threshold": 0.5,
        "selection": None,
    }
    seen = []
    widget.observe(lambda change: seen.append(change["name"]), traitlets.All)
    shown = comm.write(**right, view=(5, 7), axes=[], nobody=1)
    right["open_x"] = {"seed 0": ["stage1"]}
    assert {name: getattr(widget, name) for name in right} == right
    assert {name: shown[name] for name in right} == right
    assert (widget.view, shown["view"], widget.axes[0]["layers"]) == ((0, 1), (0, 1), layers)
    assert sorted(name for name in seen if name in widget.keys) == sorted(right)
    assert widget.result.n_samples


def test_pages_write_what_is_shown_and_nothing_else():
    """In the types of the protocol Python alone writes the first five."""
    assert set(FROM_PAGES) == set(list(WidgetState.__annotations__)[5:]) == {one.name for one in fields(Appearance)}


@pytest.mark.parametrize("error", [traitlets.TraitError, ValueError])
def test_wrong_state_from_python_is_rolled_back(page, error):
    widget, _ = page
    with pytest.raises(error, match="view="):
        widget.view = (5, 7)

    def set_two():
        with widget.hold_trait_notifications():
            widget.threshold = 0.7
            widget.measure = "gone"

    with pytest.raises(error, match="no measure"):
        set_two()
    assert (widget.view, widget.measure, widget.threshold) == ((0, 1), "cka", 0.02)


def test_another_result_is_shown_without_what_it_lacks(result):
    models, loader, _ = sw.demo.load()
    pair = {"seed 0": models["seed 0"], "other": models["seed 1"]}
    layers = {"seed 0": ["stem.0", "stage1.0.conv1", "stage2.0"], "other": ["stem.0"]}
    other = sw.compare(pair, loader, layers=layers, measures="cka", max_batches=2, device="cpu").run(progress=False)
    widget = sw.SimilarityHeatmap(result)
    first, second = (axis["model"] for axis in widget.axes)

    def within(layer):
        return {"model_x": first, "layer_x": "stem.0", "model_y": first, "layer_y": layer}

    across = {"model_x": first, "layer_x": "stem.0", "model_y": second, "layer_y": "stem.0"}
    widget.selection = across
    widget.pinned = [across, within("stage2.0"), within("stage2.1")]
    widget.open_x = widget.open_y = {first: ["stage1", "stage3"], second: ["stage1"]}
    limits = {"cka": [0.1, 0.8], "dcka": [0, 0.5], "dcka ±": [0, 0.1], "cka ±": [0, 0.1]}
    widget.scale = {"mode": "range", "limits": limits, "palette": "viridis"}
    widget.show(other)
    assert widget.selection is None
    assert widget.pinned == [within("stage2.0")]
    assert widget.open_x == widget.open_y == {first: ["stage1"]}
    assert widget.scale == {
        "mode": "range",
        "limits": {"cka": [0.1, 0.8], "cka ±": [0, 0.1]},
        "palette": "viridis",
    }
    widget.close()


def test_the_same_result_is_shown_with_all_that_was_chosen(result):
    widget = sw.SimilarityHeatmap(result)
    widget.select("stem.0", "stem.0")
    widget.pinned = [widget.selection]
    widget.open_x = {"seed 0": ["stage1"]}
    chosen = {name: getattr(widget, name) for name in FROM_PAGES}
    widget.show(result)
    assert {name: getattr(widget, name) for name in FROM_PAGES} == chosen
    widget.close()


@pytest.mark.parametrize("data", [None, 5, "text", [["measure", "dcka"]]])
def test_state_that_is_no_mapping_is_ignored(page, data):
    widget, _ = page
    before = deepcopy(widget.get_state())
    for one in (widget, widget.front_end):
        one.set_state(data)
    assert widget.get_state() == before


PARTS = [None, True, -1, 10**400, 0.5, "x", "x" * 10**4, [], {}, [{}], {"model_x": "seed 0"}, OTHER_PAIR]
"""Values where messages have something else."""


def malformed(rng):
    kinds = ["ready", "ack", "need", "command", "fetch", "need_front_end", "other", *PARTS]
    fields = ["client", "run_id", "have_seq", "seq", "hidden", "what", "pair", "id", "name", "format"]
    message = {name: rng.choice(PARTS) for name in fields if rng.random() < 0.6}
    return rng.choice([{"type": rng.choice(kinds), **message}] * 9 + PARTS)


def test_malformed_messages_are_ignored(page, caplog, monkeypatch):
    widget, _ = page
    monkeypatch.setattr(widget, "send", lambda *_: None)
    rng, before = random.Random(0), deepcopy(widget.get_state())
    for _ in range(1000):
        widget._on_message(widget, malformed(rng), [])
    assert widget.get_state() == before
    assert not caplog.records
    assert all(isinstance(name, str) and len(name) < 100 for name in widget._publisher._pacing.clients)
