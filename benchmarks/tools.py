"""Every tool behind one call: networks, loader, layers, device -> similarities with the names of their layers."""

import contextlib
import inspect
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.cases import Layers
from benchmarks.watched import Watched


class Found(NamedTuple):
    values: np.ndarray
    """(a, b)"""
    layers_x: Sequence[str]
    layers_y: Sequence[str]


Tool = Callable[[nn.Module, nn.Module, Any, Layers, str], Found | None]


@torch.no_grad()
def bare_forward(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> None:
    """What nobody can be faster than: both networks over the data, and nothing else."""
    for images, _ in loader:
        images = images.to(device)
        x(images)
        y(images)
    if device == "cuda":
        torch.cuda.synchronize()


def _compared(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str, **options: Any) -> Any:
    import simwidget as sw

    layers_x, layers_y = map(list, layers)
    return sw.compare(
        x, y, loader, layers_x=layers_x, layers_y=layers_y, gram_batch=loader.batch_size, device=device, **options
    )


def _found(result: Any) -> Found:
    return Found(result.matrix("cka"), result.layers(result.models[0]), result.layers(result.models[1]))


def simwidget(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> Found:
    """CKA and dCKA with errors, within and between both networks."""
    return _found(_compared(x, y, loader, layers, device).run(progress=False))


def simwidget_high(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> Found:
    """The same with `precision="high"`."""
    return _found(_compared(x, y, loader, layers, device, precision="high").run(progress=False))


def simwidget_live(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> Found:
    """The same in the background, with a heatmap that is sent every frame it can take."""
    comparison = _compared(x, y, loader, layers, device)
    with Watched(comparison):
        return _found(comparison.start().wait())


def pytorch_cka(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> Found:
    """CKA between the networks."""
    import cka

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = cka.compute_cka(
            x, y, loader, layers=list(layers[0]), model2_layers=list(layers[1]), device=device, progress=False
        )
    return Found(found[0].cpu().numpy(), *layers)


@torch.no_grad()
def torch_cka(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> Found:
    """CKA between the networks."""
    from torch_cka import CKA

    with without_traces(x, y):
        tool = CKA(x, y, "x", "y", list(layers[0]), list(layers[1]), device=device)
        tool.compare(loader)
        # its rows are in the order in which the layers ran
        return Found(tool.hsic_matrix.cpu().numpy(), tuple(tool.model1_features), tuple(tool.model2_features))


@torch.no_grad()
def simtorch(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> None:
    """The mean of biased CKA between the networks, another quantity."""
    from simtorch.model import SimilarityModel
    from simtorch.similarity import CKA

    with without_traces(x, y):
        models = [
            SimilarityModel(net, layers_to_include=list(names), device=device)
            for net, names in zip((x, y), layers, strict=True)
        ]
        CKA(*models, device=device).compute(loader)


def ckatorch(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> None:
    """CKA over the tokens of each sample, of the last batch alone, another quantity; of outputs (n, tokens, p) only."""
    from ckatorch import CKA

    argument = next(iter(inspect.signature(x.forward).parameters))
    with without_traces(x, y):
        tool = CKA(x, y, list(layers[0]), list(layers[1]), "x", "y", device=device)
        tool(loader, epochs=1, f_extract=lambda batch: {argument: batch[0]}, f_args={})


@contextlib.contextmanager
def without_traces(*networks: nn.Module):
    """Silence a tool, and take away the hooks it leaves behind."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for network in networks:
                for module in network.modules():
                    module._forward_hooks.clear()


TOOLS: dict[str, Tool] = {
    "simwidget": simwidget,
    "simwidget, live": simwidget_live,
    'simwidget, "high"': simwidget_high,
    "pytorch-cka": pytorch_cka,
}
SLOW_TOOLS: dict[str, Tool] = {"torch-cka": torch_cka, "simtorch": simtorch, "ckatorch": ckatorch}
EVERY_TOOL: dict[str, Tool] = {"bare forward": bare_forward, **TOOLS, **SLOW_TOOLS}
MODULES = {"pytorch-cka": "cka", "torch-cka": "torch_cka"}
"""The module of a tool whose name is another one."""
