"""The embedded example: its networks, images and labels are as documented."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import simwidget as sw
from simwidget import demo


def test_models_loader_and_labels():
    models, loader, labels = demo.load()
    images = torch.cat([x for x, _ in loader])
    assert images.shape == (1000, 1, 28, 28)
    assert (images.min(), images.max()) == (0, 1)
    assert sorted(torch.cat([y for _, y in loader]).tolist()) == sorted(labels.tolist())
    assert set(labels.tolist()) == set(range(10))
    scores = {}
    with torch.no_grad():
        for name, model in models.items():
            assert not model.training
            scores[name] = np.mean(torch.cat([model(x).argmax(1) == y for x, y in loader]).numpy())
    assert scores["seed 0"] > 0.8
    assert scores["seed 1"] > 0.8
    assert scores["untrained"] < 0.3


def test_every_pass_has_the_same_order():
    _, loader, _ = demo.load()
    first, second = (torch.cat([y for _, y in loader]) for _ in range(2))
    assert torch.equal(first, second)


def test_files_are_small_and_carry_their_notice():
    folder = Path(demo.__file__).parent
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) < 3_000_000
    assert "Zalando" in (folder / "LICENSE").read_text()


def test_the_quickstart_runs_in_a_kernel_and_leaves_its_files(tmp_path):
    notebook = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
    command = [sys.executable, "-m", "simwidget.demo", notebook, "--out", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    last = run.stdout.splitlines()[-2:]
    assert last == [f"page:     {tmp_path / 'similarity.html'}", f"picture:  {tmp_path / 'demo.png'}"]
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert sw.SimilarityResult.load(tmp_path / "similarity.simw").n_samples == 1000
    assert "standalone" in (tmp_path / "similarity.html").read_text()
    cells = json.loads((tmp_path / "quickstart.ipynb").read_text())["cells"]
    shown = [output for cell in cells if cell["id"] == "run" for output in cell["outputs"]]
    assert "1,000 samples" in shown[1]["data"]["text/html"][0]  # the still output of the end


def test_trained_networks_agree_more_than_untrained_ones():
    models, loader, _ = demo.load()
    result = sw.compare(models, loader, layers=["stage*", "classifier"], device="cpu").run(False)
    assert result.n_samples == 1000
    assert not result.notes
    for measure in result.measures:
        trained = result.matrix(measure, ("seed 0", "seed 1")).diagonal()
        untrained = result.matrix(measure, ("seed 0", "untrained")).diagonal()
        assert (trained > untrained + 0.1).all()
