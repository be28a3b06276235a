"""The output that needs no kernel, in notebooks that are run as a whole."""

import nbformat
from nbclient import NotebookClient

CELLS = [
    "import simwidget as sw\nfrom simwidget.widget import publisher\n"
    "publisher.SETTLED_AFTER = 1000  # the sender never comes to it\n"
    "models, loader, _ = sw.demo.load()",
    "comparison = sw.compare(models, loader, layers=['stage?'], device='cpu')\ncomparison",
    "_ = comparison.wait()",
]


def test_a_notebook_that_is_closed_right_after_the_run_has_its_result():
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(book, timeout=120, kernel_name="python3").execute()
    live, still = book.cells[1].outputs
    assert "application/vnd.jupyter.widget-view+json" in live["data"]
    assert "1,000 samples" in still["data"]["text/plain"]
    assert still["data"]["image/png"]


def test_the_live_widget_of_an_executed_notebook_has_the_result():
    """The sender saves it at the end of the run, when the cell that showed the heatmap is no longer the running one."""
    waits = [
        "import time\nwhile comparison.state != 'finished': time.sleep(0.01)",
        "while heatmap.run['state'] != 'finished': time.sleep(0.01)",
    ]
    cells = [CELLS[0].replace("1000", "0"), "comparison = sw.compare(models, loader, layers=['stage?'], device='cpu')"]
    cells += ["heatmap = sw.SimilarityHeatmap(comparison)\nheatmap", "_ = comparison.start()", *waits, ""]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(book, timeout=120, kernel_name="python3").execute()
    states = book.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    (heatmap,) = (one for one in states if one["model_name"] == "AnyModel")
    assert heatmap["state"]["run"]["state"] == "finished"
    assert heatmap["state"]["snapshot_meta"]["n_samples"] == 1000
    assert [one["path"] for one in heatmap["buffers"]] == [["snapshot"]]
    assert len(heatmap["buffers"][0]["data"]) > 100
