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
