"""The true unbiased CKA of a case: float64 copies of every representation, the three-term formula."""

import copy

import numpy as np
import torch
from torch import nn


def outputs(network: nn.Module, layers: tuple[str, ...], images: torch.Tensor) -> list[np.ndarray]:
    """Copies of the layers' outputs (n, p) of a network without in-place operations, in execution order."""
    kept: list[np.ndarray] = []
    modules = dict(network.named_modules())

    def keep(module: nn.Module, args: object, output: torch.Tensor) -> None:
        kept.append(output.clone().flatten(1).numpy())

    handles = [modules[name].register_forward_hook(keep) for name in layers]
    network(images)
    for handle in handles:
        handle.remove()
    return kept


@torch.no_grad()
def unbiased_cka(x: nn.Module, y: nn.Module, loader: object, layers: tuple[str, ...]) -> np.ndarray:
    networks = [copy.deepcopy(network).double().cpu() for network in (x, y)]
    for network in networks:
        for module in network.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
    total = np.zeros((2 * len(layers), 2 * len(layers)))
    for images, _ in loader:  # type: ignore[attr-defined]
        grams = []
        for representation in (r for network in networks for r in outputs(network, layers, images.double())):
            centred = representation - representation.mean(0)
            gram = centred @ centred.T
            np.fill_diagonal(gram, 0)
            grams.append(gram)
        k = np.stack(grams)
        n = k.shape[1]
        sums = k.sum(2)
        trace = np.einsum("aij,bij->ab", k, k)
        total += trace + np.outer(sums.sum(1), sums.sum(1)) / ((n - 1) * (n - 2)) - 2 / (n - 2) * sums @ sums.T
    scale = np.sqrt(np.diag(total))
    return (total / np.outer(scale, scale))[: len(layers), len(layers) :]
