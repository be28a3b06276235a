"""The true unbiased CKA of a case: float64, networks without in-place operations, the three-term formula.

Every call of a module counts, named as the package names it: "relu", "relu#1", ... Peers keep a module's last call.
"""

import copy
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.cases import Layers
from benchmarks.tools import Found


class Truth(NamedTuple):
    values: np.ndarray
    """(a, b)"""
    calls_x: list[str]
    calls_y: list[str]

    def largest_error(self, found: Found, last_calls: bool) -> float | None:
        """Over all pairs of layers that a tool has values of; None where it gives none at all."""
        rows = _places(found.layers_x, self.calls_x, last_calls)
        columns = _places(found.layers_y, self.calls_y, last_calls)
        errors = np.abs(found.values - self.values[np.ix_(rows, columns)])
        return None if np.isnan(errors).all() else float(np.nanmax(errors))


def _places(layers: Any, calls: list[str], last_calls: bool) -> list[int]:
    if not last_calls:
        return [calls.index(layer) for layer in layers]
    last = {call.partition("#")[0]: place for place, call in enumerate(calls)}
    return [last[layer] for layer in layers]


def grams(network: nn.Module, layers: Any, samples: torch.Tensor) -> dict[str, np.ndarray]:
    """The Gram matrices of centred outputs, their diagonals zero, by call in execution order."""
    found: dict[str, np.ndarray] = {}
    count: Counter[str] = Counter()
    modules = dict(network.named_modules())

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: object, output: torch.Tensor) -> None:
            call = f"{name}#{count[name]}" if count[name] else name
            count[name] += 1
            x = output.flatten(1)
            x = x - x.mean(0)
            found[call] = (x @ x.T).fill_diagonal_(0.0).numpy()

        return keep

    handles = [modules[name].register_forward_hook(hook(name)) for name in layers]
    network(samples)
    for handle in handles:
        handle.remove()
    return found


@torch.no_grad()
def unbiased_cka(x: nn.Module, y: nn.Module, loader: Any, layers: Layers) -> Truth:
    """Of the batches of a loader, HSIC summed over them."""
    networks = [copy.deepcopy(network).double().cpu() for network in (x, y)]
    for network in networks:
        for module in network.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
    total: Any = 0
    for samples, _ in loader:
        found = [grams(net, names, samples.double()) for net, names in zip(networks, layers, strict=True)]
        k = np.stack([gram for one in found for gram in one.values()])
        n = k.shape[1]
        flat, sums = k.reshape(len(k), -1), k.sum(2)
        total = total + flat @ flat.T - 2 / (n - 2) * sums @ sums.T
        total += np.outer(sums.sum(1), sums.sum(1)) / ((n - 1) * (n - 2))
    calls_x, calls_y = map(list, found)
    scale = np.sqrt(np.diag(total))
    return Truth((total / np.outer(scale, scale))[: len(calls_x), len(calls_x) :], calls_x, calls_y)
