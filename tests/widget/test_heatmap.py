"""The widget: its state is the result, and what pages may tell it."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from snapshots import read

import simwidget as sw
from simwidget.widget import encoding

PAIR = ("stem.0", "stage1.0")


def decoded(widget, result, measure, view):
    """The snapshot's values and errors, read as the page reads them."""
    return read(widget.snapshot, widget.snapshot_meta, result, measure, view)


def test_snapshots_are_the_matrices(result):
    widget = sw.SimilarityHeatmap(result)
    for measure in (*result.measures, *result.differences):
        for view in result.views():
            values, stderr = decoded(widget, result, measure, view)
            assert np.allclose(values, result.matrix(measure, view), rtol=0, atol=2e-5, equal_nan=True)
            assert np.allclose(stderr, result.stderr(measure, view), rtol=0, atol=2e-5, equal_nan=True)
    about = {m["name"]: m for m in widget.snapshot_meta["measures"]}
    assert about["cka"]["reasons"]["seed 0"] == {"unused": "never ran"}
    assert about["cka-dcka"]["kind"] == "difference"
    widget.close()


def test_a_saved_notebook_has_a_limit(result, monkeypatch):
    monkeypatch.setattr(encoding, "SNAPSHOT_CELLS", 4000)
    _, meta = encoding.encode_snapshot(result, "r", 1, first=(1, 1))
    assert {(b["x"], b["y"]) for b in meta["blocks"]} == {(1, 1)}


def test_before_a_run_there_are_axes_and_nothing_else(fresh):
    widget = sw.SimilarityHeatmap(fresh)
    assert [axis["model"] for axis in widget.axes] == ["seed 0", "seed 1"]
    assert "stage1.0.conv1" in widget.axes[0]["layers"]
    assert (widget.snapshot, widget.snapshot_meta["blocks"]) == (b"", [])
    assert widget.run["state"] == "ready"
    assert fresh.state == "ready"  # a heatmap does not start its run
    widget.close()


@pytest.fixture
def fresh():
    models, loader, _ = sw.demo.load()
    pair = {name: models[name] for name in ("seed 0", "seed 1")}
    return sw.compare(pair, loader, max_batches=3, device="cpu")


def heard(widget, monkeypatch):
    sent = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append(content))
    return sent


def test_pages_steer_the_run(fresh, monkeypatch):
    widget = sw.SimilarityHeatmap(fresh)
    sent = heard(widget, monkeypatch)
    widget._on_message(None, {"type": "command", "id": 1, "name": "start"}, [])
    fresh.wait(timeout=60)
    widget._on_message(None, {"type": "command", "id": 2, "name": "start"}, [])
    widget._on_message(None, {"type": "command", "id": 3, "name": "explode"}, [])
    widget._on_message(None, {"type": "command", "id": 4, "name": "_begin"}, [])
    replies = {one["id"]: one["error"] for one in sent if one["type"] == "reply"}
    assert replies[1] is None
    assert "runs once" in replies[2]
    assert replies[3] == "this heatmap cannot explode"
    assert replies[4] == "this heatmap cannot _begin"
    widget.close()


def test_nonsense_from_a_page_is_ignored(result, monkeypatch):
    widget = sw.SimilarityHeatmap(result)
    sent = heard(widget, monkeypatch)
    for content in (None, 3, "ack", {}, {"type": "what"}, []):
        widget._on_message(None, content, [])
    assert sent == []
    widget.close()


def test_selection_is_by_name_and_checked(result):
    widget = sw.SimilarityHeatmap(result)
    widget.select(*PAIR)
    assert widget.selection["layer_y"] == "stage1.0"
    with pytest.raises(ValueError, match=r"'seed 0' has no layer 'stem\.9'\. .*'stem\.0'"):
        widget.select("stem.9", "stem.0")
    assert widget.selection["layer_x"] == "stem.0"
    widget.select(None)
    assert widget.selection is None
    widget.close()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("measure", "ckaa", "no measure 'ckaa'"),
        ("view", (0, 2), "one of the 2|of the 2 models"),
        ("scale", {"mode": "loud"}, "mode is one of unit, range, log"),
        ("selection", {"model_x": "nobody"}, "there is no model 'nobody'"),
    ],
)
def test_what_is_set_is_checked(result, name, value, message):
    widget = sw.SimilarityHeatmap(result)
    before = getattr(widget, name)
    with pytest.raises(ValueError, match=message):
        setattr(widget, name, value)
    assert getattr(widget, name) == before
    widget.close()


def test_a_pair_and_its_mirror_image_are_pinned_once(result):
    widget = sw.SimilarityHeatmap(result)
    x, y = widget.axes
    pairs = [
        {"model_x": x["model"], "layer_x": x["layers"][0], "model_y": y["model"], "layer_y": layer}
        for layer in y["layers"][:2]
    ]
    mirrored = {
        f"{what}_{side}": pairs[0][f"{what}_{'yx'['xy'.index(side)]}"] for what in ("model", "layer") for side in "xy"
    }
    widget.pinned = pairs
    for again in (pairs[0], mirrored):
        with pytest.raises(ValueError, match="pairs 1 and 3 are of the same two layers"):
            widget.pinned = [*pairs, again]
    assert widget.pinned == pairs
    widget.close()


def test_showing_another_result(result):
    widget = sw.SimilarityHeatmap(result, measure="dcka", view="yy")
    assert (widget.measure, widget.view) == ("dcka", (1, 1))
    models, loader, _ = sw.demo.load()
    other = sw.compare({"one": models["seed 0"]}, loader, measures="cka", max_batches=2, device="cpu").run(False)
    widget.show(other)
    assert (widget.measure, widget.view) == ("cka", (0, 0))
    assert widget.axes[0]["model"] == "one"
    assert widget.result is other
    values, _ = decoded(widget, other, "cka", "xx")
    assert np.allclose(values, other.matrix(), atol=2e-5)
    widget.close()


def test_a_result_of_some_pairs_has_no_other_views(fresh):
    fresh.run(progress=False)
    within = fresh.snapshot(pairs=[(1, 1)])
    widget = sw.SimilarityHeatmap(within, view="yy")
    with pytest.raises(ValueError, match="'seed 0' and 'seed 1' is not in this result"):
        widget.view = (0, 1)
    assert widget.view == (1, 1)
    widget.show(fresh.snapshot(pairs=[(0, 1)]))
    assert widget.view == (0, 1)
    widget.view = (1, 0)
    widget.show(fresh.snapshot(pairs=[(0, 1)]))
    assert widget.view == (1, 0)
    widget.close()


def test_a_comparison_s_heatmap_shows_no_other_result(fresh, result):
    widget = sw.SimilarityHeatmap(fresh)
    with pytest.raises(TypeError, match="shows a comparison"):
        widget.show(result)
    widget.close()
    assert not fresh._lifecycle._watchers


def test_wrong_things_to_show_fail_at_once(result):
    with pytest.raises(ValueError, match="no measure 'ckaa'"):
        sw.SimilarityHeatmap(result, measure="ckaa")
    with pytest.raises(ValueError, match="view='zz'"):
        sw.SimilarityHeatmap(result, view="zz")
    with pytest.raises(TypeError, match="was given: list"):
        sw.SimilarityHeatmap([1, 2])
    with pytest.raises(ValueError, match="frames_per_second=0"):
        sw.SimilarityHeatmap(result, frames_per_second=0)


def test_state_from_pages_and_from_the_run_never_clash(result, monkeypatch):
    """Ipywidgets' synchronisation is not made for threads; one lock around it is."""
    widget = sw.SimilarityHeatmap(result)
    updates, problems = [], []

    class Comm:
        kernel = True
        comm_id = "c"

        def send(self, data=None, buffers=None, **_):
            updates.append(data)

        def on_msg(self, _):
            pass

        def close(self):
            pass

    widget.comm = Comm()

    def run():
        try:
            for k in range(300):
                widget.write(run={**widget.run, "n_batches": k}, axes=list(widget.axes))
        except Exception as problem:
            problems.append(problem)

    def page():
        try:
            for k in range(300):
                widget.set_state({"measure": ("cka", "dcka")[k % 2]})
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=target) for target in (run, page)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems
    sent = [data["state"]["run"]["n_batches"] for data in updates if "run" in data.get("state", {})]
    assert sent == sorted(sent)
    assert sent[-1] == 299
    assert widget.measure == "dcka"
    widget.close()


def test_the_widget_needs_no_torch():
    code = "import sys, simwidget.widget; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_missing_build_says_what_to_do(monkeypatch, tmp_path, result):
    from simwidget.widget import front_end

    monkeypatch.setattr(front_end, "STATIC", tmp_path)
    with pytest.raises(FileNotFoundError, match="npm run build"):
        sw.SimilarityHeatmap(result)


def test_outside_a_notebook_a_comparison_only_says_what_it_is(fresh, capsys):
    fresh._ipython_display_()
    assert "ready, 0 of 3 batches" in capsys.readouterr().out
    assert fresh.state == "ready"
