"""The figures in the documents are those that were measured."""

import json
from pathlib import Path

from benchmarks import report

ROOT = Path(__file__).parents[2]


def test_the_page_is_made_of_the_committed_figures():
    assert report.page(ROOT / "docs/figures") == (ROOT / "docs/performance.md").read_text()


def test_what_waits_for_a_gpu_is_told(tmp_path):
    machine = {"gpu": "a GPU", "command": "python -m benchmarks.waits --out x.json", "commit": "abc", "torch": "2.11"}
    waits = {"resnet18": {"bare forward": {"cudaStreamSynchronize": 1.0}, "simwidget": {}}}
    (tmp_path / "waits.json").write_text(json.dumps({"machine": machine, "cases": waits}))
    page = report.page(tmp_path)
    assert "`python -m benchmarks.waits`, commit abc, a GPU, torch 2.11." in page
    assert "| resnet18 | bare forward | cudaStreamSynchronize: 1 |" in page
    assert "| resnet18 | simwidget | nothing |" in page
