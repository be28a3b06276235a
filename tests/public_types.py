"""What a type checker sees of the public names. `make lint` reads this file with mypy; nothing here is run, and each
`type: ignore` is a mistake that it must find.
"""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader
from typing_extensions import assert_type

import simwidget as sw
from simwidget.estimate.convergence import Curve
from simwidget.inspection.pair_inspection import Inspection
from simwidget.run.progress import Progress


def comparing(net: nn.Module, loader: DataLoader[Tensor], batches: list[tuple[Tensor, Tensor]]) -> None:
    comparison = sw.compare(net, sw.SimilarityModel(net, "other"), loader, layers=["layer?"], device="cpu")
    assert_type(comparison, sw.Comparison)
    sw.compare(
        {"a": net, "b": net}, batches, forward={"a": lambda model, batch: model(batch)}, inputs=[None, torch.abs]
    )
    sw.compare({"a": net}, batches, confounder=["labels", lambda batch: batch[1]], batch_dim={"*.attn": 1})
    assert_type(sw.resume("run.simw", {"a": net}, batches, max_batches=None), sw.Comparison)
    assert_type(comparison.start(), sw.Comparison)
    assert_type(comparison.run(progress=False), sw.SimilarityResult)
    assert_type(comparison.wait(timeout=1.0), sw.SimilarityResult)
    assert_type(comparison.progress, Progress)
    assert_type(comparison.inspect("a", "b"), Inspection | None)
    assert_type(comparison.convergence("a", "b")["cka"], Curve)
    assert_type(comparison.gram("a"), NDArray[np.float32] | None)
    comparison.run_until("done")  # type: ignore[attr-defined]
    sw.compare(net, net, loader, gram_batch="64")  # type: ignore[arg-type]


def looking_at_a_result(result: sw.SimilarityResult) -> None:
    assert_type(result.matrix("cka", ("a", "b")), NDArray[np.float64])
    assert_type(result.stderr(), NDArray[np.float64])
    assert_type(result.measures, tuple[str, ...])
    assert_type(result.notes, tuple[str, ...])
    assert_type(result.plot("cka", view="xx", title="mine"), Axes)
    assert_type(sw.plots.heatmap(result, vmin=0.5), Axes)
    assert_type(sw.SimilarityResult.load("result.simw"), sw.SimilarityResult)
    result.save("result.simw")


def describing(net: nn.Module, batch: Tensor) -> None:
    description = sw.describe(net, batch, representation="mean")
    assert_type(description, sw.Description)
    assert_type(description.chosen, tuple[str, ...])
    assert_type(description["layer"].n_features, int | None)
    model = sw.SimilarityModel(net, layers=["layer?"])
    assert_type(model.layer_names, tuple[str, ...])
    assert_type(model.representations(batch), dict[str, Tensor])
    sw.describe(net, batch, representation="median")  # type: ignore[arg-type]


def showing(comparison: sw.Comparison, result: sw.SimilarityResult) -> None:
    widget = sw.SimilarityHeatmap(comparison, "cka", ("a", "b"))
    widget.select("layer1", "layer2")
    sw.charts.convergence(widget, title="mine")
    assert_type(sw.SimilarityExplorer(result).heatmap, sw.SimilarityHeatmap)


def measuring(x: NDArray[np.float64], y: Tensor) -> None:
    assert_type(sw.functional.cka(x, y), float)
    assert_type(sw.functional.dcka(x, [[1.0], [2.0]], [x, x], unbiased=False), float)


def in_simtorch_s_way(model: sw.SimilarityModel, loader: DataLoader[Tensor]) -> None:
    cka: sw.BaseSimilarity = sw.CKA(model, model, device="cpu")
    assert_type(cka.compute(loader), NDArray[np.float64])
    assert_type(cka.plot_similarity(), Axes)
    assert_type(sw.DeltaCKA(model, model).sim_matrix, NDArray[np.float64] | None)


def with_the_demo() -> None:
    models, loader, labels = sw.demo.load()
    named: Mapping[str, nn.Module] = models
    assert_type(sw.compare(named, loader), sw.Comparison)
    assert_type(labels, Tensor)
