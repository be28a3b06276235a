"""The widget's state is the result."""

import subprocess
import sys

import numpy as np
import pytest

import simwidget as sw


def decoded(widget, result, measure, view):
    x, y = result.positions(view)
    (block,) = [b for b in widget.snapshot_meta["blocks"] if (b["measure"], b["x"], b["y"]) == (measure, x, y)]
    shape = len(widget.axes[x]["layers"]), len(widget.axes[y]["layers"])
    numbers = np.frombuffer(widget.snapshot, "<f4", 2 * shape[0] * shape[1], offset=block["offset"])
    return numbers.reshape(2, *shape)


def test_bytes_are_the_matrices(result):
    widget = sw.SimilarityHeatmap(result)
    for measure in result.measures:
        for view in result.views():
            values, stderr = decoded(widget, result, measure, view)
            assert np.array_equal(values, result.matrix(measure, view).astype("f4"), equal_nan=True)
            assert np.array_equal(stderr, result.stderr(measure, view).astype("f4"), equal_nan=True)
    about = {m["name"]: m for m in widget.snapshot_meta["measures"]}
    assert about["cka"]["reasons"]["seed 0"] == {"unused": "never ran"}


def test_showing_another_result(result):
    widget = sw.SimilarityHeatmap(result, measure="dcka", view="yy")
    assert (widget.measure, widget.view) == ("dcka", (1, 1))
    models, loader, _ = sw.demo.load()
    other = sw.compare({"one": models["seed 0"]}, loader, measures="cka", max_batches=2, device="cpu").run(False)
    widget.show(other)
    assert (widget.measure, widget.view) == ("cka", (0, 0))
    assert widget.axes[0]["model"] == "one"


def test_unknown_measures_and_views_fail_at_once(result):
    with pytest.raises(ValueError, match="no measure 'ckaa'"):
        sw.SimilarityHeatmap(result, measure="ckaa")
    with pytest.raises(ValueError, match="view='zz'"):
        sw.SimilarityHeatmap(result, view="zz")


def test_the_widget_needs_no_torch():
    code = "import sys, simwidget.widget; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_missing_build_says_what_to_do(monkeypatch, tmp_path, result):
    from simwidget.widget import heatmap

    monkeypatch.setattr(heatmap, "STATIC", tmp_path)
    with pytest.raises(FileNotFoundError, match="npm run build"):
        sw.SimilarityHeatmap(result)
