"""A widget is open, and saved, as long as an output of a cell may show it."""

from types import SimpleNamespace

import ipywidgets
import pytest
from IPython.core.events import EventManager, available_events
from ipywidgets.widgets.widget import _instances

import simwidget as sw


class Shell:
    """Stands in for the kernel's shell: it runs cells that a front end has sent."""

    def __init__(self):
        self.events = EventManager(self, available_events)
        self.parent = {"metadata": {}, "header": {"msg_id": "0"}}
        self.count = 0

    def get_parent(self):
        return self.parent

    def run(self, cell, code=lambda: None):
        """Run a cell; without an identifier if that is None."""
        self.count += 1
        self.parent = {"metadata": {"cellId": cell} if cell else {}, "header": {"msg_id": str(self.count)}}
        code()
        self.events.trigger("post_run_cell", SimpleNamespace(result=None))


@pytest.fixture
def shell(monkeypatch):
    ipywidgets.Widget.close_all()
    _instances.clear()  # other tests give widgets a comm of their own, under whose identifier they are not found
    shell = Shell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: None)
    yield shell
    ipywidgets.Widget.close_all()
    assert not shell.events.callbacks["post_run_cell"]


def saved():
    """The class of every model that a notebook would save."""
    return sorted(one["model_name"] for one in ipywidgets.Widget.get_manager_state()["state"].values())


HEATMAP = ["AnyModel", "LayoutModel", "WidgetModel"]
"""The last is the front end, which heatmaps share."""


@pytest.mark.parametrize("kind", [sw.SimilarityHeatmap, sw.SimilarityExplorer])
def test_a_rerun_leaves_nothing_of_the_old_widget(shell, result, kind):
    made = []

    def code():
        made.append(kind(result))
        made[-1]._ipython_display_()

    shell.run("cell", code)
    first = saved()
    for _ in range(5):
        shell.run("cell", code)
    shell.run("other")
    assert saved() == first
    shell.run("cell")
    assert saved() == []
    for one in made:
        one.close()


def test_a_rerun_lets_go_of_a_comparison_s_own_heatmap(shell):
    shell.kernel = True
    models, loader, _ = sw.demo.load()
    comparison = sw.compare({"one": models["seed 0"]}, loader, max_batches=2, device="cpu")
    for _ in range(3):
        shell.run("cell", comparison._ipython_display_)
        assert saved() == HEATMAP
        assert len(comparison._lifecycle._watchers) == 1
    shell.run("cell")
    assert saved() == []
    assert not comparison._lifecycle._watchers
    comparison.wait(60)


def test_a_widget_that_left_is_as_it_was_and_returns_when_it_is_displayed(shell, result):
    widget = sw.SimilarityHeatmap(result)
    model_id = widget.model_id
    shell.run("cell", widget._ipython_display_)
    shell.run("cell")
    assert saved() == []
    widget.measure = "dcka"
    widget.select("stem.0", "stem.0")
    shell.run("other", widget._ipython_display_)
    assert saved() == HEATMAP
    assert widget.model_id == model_id
    state = ipywidgets.Widget.get_manager_state()["state"][model_id]["state"]
    assert (state["measure"], state["selection"]["layer_x"]) == ("dcka", "stem.0")
    widget.close()
    with pytest.raises(RuntimeError, match="closed and cannot be displayed again"):
        widget._ipython_display_()


def test_the_same_widget_displayed_again_never_leaves(shell, result, monkeypatch):
    widget = sw.SimilarityHeatmap(result)
    shell.run("cell", widget._ipython_display_)
    with monkeypatch.context() as watched:
        watched.setattr(widget.comm, "close", lambda: pytest.fail("the page has lost its view"))
        shell.run("cell", widget._ipython_display_)
    assert saved() == HEATMAP
    widget.close()


def within_a_box(shell, widget):
    box = ipywidgets.HBox([widget])
    return box.close


def in_another_cell(shell, widget):
    shell.run("other", widget._ipython_display_)


def in_an_output(shell, widget):
    """Outputs that are captured while a cell runs stand where the `Output` stands."""
    output = ipywidgets.Output()

    def code():
        output.msg_id = shell.parent["header"]["msg_id"]
        widget._ipython_display_()
        output.msg_id = ""

    shell.run("other", code)
    shell.run("other")
    return output.close


def by_a_callback(shell, widget):
    """The request that is answered is no run of a cell, as with a button."""
    shell.run(None, widget._ipython_display_)


@pytest.mark.parametrize("shown", [within_a_box, in_another_cell, in_an_output, by_a_callback])
def test_a_widget_that_may_be_seen_elsewhere_stays(shell, result, shown):
    widget = sw.SimilarityHeatmap(result)
    shell.run("cell", widget._ipython_display_)
    shown(shell, widget)
    shell.run("cell")
    assert "AnyModel" in saved()
    assert widget.comm is not None
    widget.close()


def test_a_part_of_an_explorer_that_is_seen_by_itself_stays(shell, result):
    explorer = sw.SimilarityExplorer(result, beside=[mine := ipywidgets.Label("mine")])
    shell.run("cell", explorer._ipython_display_)
    shell.run("other", explorer.heatmap._ipython_display_)
    shell.run("cell")
    assert [explorer.comm, explorer.layer_x.comm] == [None, None]
    assert explorer.heatmap.comm is not None
    assert mine.comm is not None
    shell.run("other")
    assert saved() == sorted(["LabelModel", "LabelStyleModel", "LayoutModel"])
    shell.run("cell", explorer._ipython_display_)
    assert explorer.heatmap.comm is not None
    assert explorer.layer_x.layout.comm is not None
    explorer.close()
