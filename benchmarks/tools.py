"""Every tool behind one call: networks, loader, layers -> a matrix of similarities."""

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

Layers = Sequence[str] | None
Tool = Callable[[nn.Module, nn.Module, Any, Layers, str], np.ndarray | None]


@torch.no_grad()
def bare_forward(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> None:
    """What nobody can be faster than: both networks over the data, and nothing else."""
    for images, _ in loader:
        images = images.to(device)
        x(images)
        y(images)
    if device == "cuda":
        torch.cuda.synchronize()


def simwidget(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> np.ndarray:
    """CKA and dCKA with errors, within and between both networks."""
    import simwidget as sw

    chosen = ["*"] if layers is None else list(layers)
    run = sw.compare(x, y, loader, layers=chosen, gram_batch=loader.batch_size, device=device)
    return run.run(progress=False).matrix("cka")


def pytorch_cka(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> np.ndarray:
    """CKA between the networks."""
    import cka

    chosen = None if layers is None else list(layers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cka.compute_cka(x, y, loader, layers=chosen, device=device, progress=False)[0].cpu().numpy()


@torch.no_grad()
def torch_cka(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> np.ndarray:
    """CKA between the networks."""
    from torch_cka import CKA

    with without_traces(x, y):
        tool = CKA(x, y, "x", "y", list(layers or ()), list(layers or ()), device=device)
        tool.compare(loader)
        return tool.hsic_matrix.cpu().numpy()


@torch.no_grad()
def simtorch(x: nn.Module, y: nn.Module, loader: Any, layers: Layers, device: str) -> np.ndarray:
    """The mean of biased CKA between the networks, another quantity: no error is given for it."""
    from simtorch.model import SimilarityModel
    from simtorch.similarity import CKA

    with without_traces(x, y):
        models = [SimilarityModel(net, layers_to_include=list(layers or ()), device=device) for net in (x, y)]
        return CKA(*models, device=device).compute(loader)


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


TOOLS: dict[str, Tool] = {"simwidget": simwidget, "pytorch-cka": pytorch_cka}
SLOW_TOOLS: dict[str, Tool] = {"torch-cka": torch_cka, "simtorch": simtorch}
EVERY_TOOL: dict[str, Tool] = {"bare forward": bare_forward, **TOOLS, **SLOW_TOOLS}
MODULES = {"pytorch-cka": "cka", "torch-cka": "torch_cka", "simtorch": "simtorch", "simwidget": "simwidget"}
