"""bqplot figures that follow a heatmap."""

import sys
import threading
import time

import numpy as np
import pytest
import torch

import simwidget as sw
from simwidget import charts


@pytest.fixture
def comparison():
    models, loader, _ = sw.demo.load()
    pair = {name: models[name] for name in ("seed 0", "seed 1")}
    return sw.compare(pair, loader, layers=["stage?", "stage?.0"], device="cpu")


@pytest.fixture
def widget(comparison):
    widget = sw.SimilarityHeatmap(comparison)
    yield widget
    widget.close()


@pytest.fixture
def without_delay(monkeypatch):
    monkeypatch.setattr(charts, "UPDATE_SECONDS", 0.0)


def lines(figure):
    return [mark for mark in figure.marks if mark.fill == "none"]


def test_convergence_is_the_comparison_s(widget, comparison, without_delay):
    figure = charts.convergence(widget, title="mine")
    assert not any(mark.visible for mark in figure.marks)
    comparison.run(progress=False)
    widget.select("stage1", "stage2")
    curves = comparison.convergence("stage1", "stage2")
    found = {line.labels[0]: line for line in lines(figure)}
    for name, title in (("cka", "CKA"), ("dcka", "dCKA")):
        assert np.array_equal(found[title].x, curves[name].n_batches)
        assert np.allclose(found[title].y, curves[name].values)
    assert figure.title == "stage1 × stage2"
    bands = [mark for mark in figure.marks if mark.fill == "between"]
    assert len(bands) == 2
    widget.select(None)
    assert not any(mark.visible for mark in figure.marks)


def test_profile_is_the_row_and_the_column(widget, comparison, without_delay):
    comparison.run(progress=False)
    figure = charts.profile(widget)
    widget.select("stage1", "stage2")
    result = comparison.result
    i, j = result.layers_x.index("stage1"), result.layers_y.index("stage2")
    row, column = lines(figure)
    assert np.allclose(row.y, result.matrix("cka")[i])
    assert np.allclose(column.y, result.matrix("cka")[:, j])
    assert row.labels == ["stage1 of seed 0"]
    widget.measure = "cka-dcka"
    assert np.allclose(row.y, result.matrix("cka-dcka")[i])
    assert figure.title == "CKA − dCKA"


def test_spectrum_is_that_of_the_latest_batch(widget, comparison, without_delay):
    figure = charts.spectrum(widget)
    widget.select("stage1", "stage2")
    assert not any(mark.visible for mark in figure.marks)
    comparison.run(progress=False)
    widget.write(run={**widget.run, "n_batches": 16})
    values = np.sort(np.linalg.eigvalsh(comparison.gram("stage2", "seed 1").astype(float)))[::-1]
    line = lines(figure)[1]
    assert np.allclose(line.y, (values / values.sum())[: charts.MAX_EIGENVALUES], atol=1e-8)
    assert line.labels == ["stage2 of seed 1"]
    assert figure.title.endswith(f"/ {values.sum() ** 2 / (values**2).sum():.1f}")


def test_spectra_without_numbers_are_not_drawn(comparison, without_delay):
    torch.nn.init.constant_(comparison._held.single_pass.models[0].model.stage3[1].bn2.bias, torch.inf)
    widget = sw.SimilarityHeatmap(comparison)
    comparison.run(progress=False)
    figure = charts.spectrum(widget)
    widget.select("stage3", "stage1")
    assert [line.visible for line in lines(figure)] == [False, True]
    assert figure.title.startswith("effective dimension n/a / ")
    widget.close()


def test_a_result_has_no_spectrum(comparison, without_delay):
    result = comparison.run(progress=False)
    widget = sw.SimilarityHeatmap(result)
    figure = charts.spectrum(widget)
    widget.select("stage1", "stage2")
    assert figure.title == "a result has no Gram matrices"
    widget.close()


def test_at_most_two_updates_a_second_and_never_the_last_one_lost():
    done = threading.Event()
    times, state = [], {"now": 0}

    def update():
        times.append((time.monotonic(), state["now"]))
        if state["now"] == 40:
            done.set()

    updates = charts._ChartUpdate(update)
    for k in range(1, 41):
        state["now"] = k
        updates()
    assert done.wait(10)
    assert times[-1][1] == 40
    assert len(times) <= 3
    gaps = np.diff([when for when, _ in times])
    assert (gaps >= charts.UPDATE_SECONDS - 0.02).all()


def test_charts_let_go_of_a_closed_heatmap(comparison):
    widget = sw.SimilarityHeatmap(comparison)
    before = len(widget._trait_notifiers.get("run", {}).get("change", []))
    charts.convergence(widget)
    assert len(widget._trait_notifiers["run"]["change"]) == before + 1
    widget.close()
    assert len(widget._trait_notifiers["run"]["change"]) == before


def test_without_bqplot_the_error_names_the_extra(widget, monkeypatch):
    monkeypatch.setitem(sys.modules, "bqplot", None)
    with pytest.raises(ImportError, match=r"pip install 'simwidget\[charts\]'"):
        charts.profile(widget)


def test_the_heatmap_needs_no_bqplot():
    import subprocess

    code = "import sys, simwidget.widget; print('bqplot' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_explorer_searches_and_is_told(comparison):
    figure_like = __import__("ipywidgets").HTML("mine")
    explorer = sw.SimilarityExplorer(comparison, beside=[figure_like])
    assert figure_like in explorer.beside.children
    assert explorer.beside in explorer.children
    assert explorer.layer_x.description == "seed 0"
    explorer.layer_x.value = "stage1"
    assert explorer.heatmap.selection is None
    explorer.layer_y.value = "stage3"
    assert explorer.heatmap.selection["layer_y"] == "stage3"
    explorer.heatmap.select("stage2", "stage1")
    assert (explorer.layer_x.value, explorer.layer_y.value) == ("stage2", "stage1")
    explorer.heatmap.view = (1, 1)
    assert explorer.layer_x.description == "seed 1"
    explorer.close()
