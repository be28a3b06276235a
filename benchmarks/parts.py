"""Where the time goes, next to the bare forward pass: `python -m benchmarks.parts [--case NAME] [--out FILE.json]`.

Whole runs are timed from which parts are taken out: what a part costs where it stands, with the caches as the layers
leave them, not what it costs alone.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.cases import CASES, Case, Layers
from benchmarks.machine import machine
from benchmarks.timing import Timed, interleave
from benchmarks.tools import bare_forward, pytorch_cka, simwidget
from simwidget.gram.kernels import LinearKernel

Networks = tuple[nn.Module, nn.Module]


def empty_hooks(networks: Networks, loader: Any, layers: Layers, device: str) -> None:
    """The forward pass with hooks that do nothing."""
    handles = [
        module.register_forward_hook(lambda module, args, output: None)
        for network, names in zip(networks, layers, strict=True)
        for name, module in network.named_modules()
        if name in names
    ]
    bare_forward(*networks, loader, layers, device)
    for handle in handles:
        handle.remove()


def nothing(self: LinearKernel, x: Tensor, gram: Tensor, square: Tensor) -> None:
    """No Gram matrix at all."""


def as_it_is(self: LinearKernel, x: Tensor, gram: Tensor, square: Tensor) -> None:
    """One product, of the features as they are: of all the package does, the one thing that no tool can do without."""
    torch.mm(x, x.T, out=gram)


def parts(case: Case, device: str) -> dict[str, Callable[[Any], object]]:
    networks = case.build(device)
    layers = case.chosen(networks)

    def without(kernel: Callable[..., None] | None, loader: Any) -> None:
        changed: AbstractContextManager = (
            nullcontext() if kernel is None else patch.object(LinearKernel, "__call__", kernel)
        )
        with changed:
            simwidget(*networks, loader, layers, device)

    return {
        "bare forward": lambda loader: bare_forward(*networks, loader, layers, device),
        "hooks that do nothing": lambda loader: empty_hooks(networks, loader, layers, device),
        "all but the Gram matrices": partial(without, nothing),
        "one plain product for each": partial(without, as_it_is),
        "all": partial(without, None),
        "pytorch-cka": lambda loader: pytorch_cka(*networks, loader, layers, device),
    }


def measure(name: str, device: str, repeats: int) -> dict[str, Any]:
    case = CASES[name]
    ways = parts(case, device)
    timed = {way: Timed(call, case.size(device).n_batches, repeats) for way, call in ways.items()}
    bare, times = interleave(timed.pop("bare forward").call, timed, partial(case.loader, device), device)
    return {
        "about": case.about,
        "bare forward, s a batch": statistics.median(bare),
        "ratios": {way: one.ratio for way, one in times.items()},
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--case", choices=CASES, action="append", help="one case; (a) and (c) by default")
    options.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--out", type=Path, help="a JSON file for the figures")
    args = options.parse_args()
    found: dict[str, Any] = {"machine": machine("benchmarks.parts", args.device), "cases": {}}
    for name in args.case or ("resnet18", "resnet50-101"):
        found["cases"][name] = measure(name, args.device, args.repeats)
        print(f"{name}: {found['cases'][name]['bare forward, s a batch']:.3f} s a batch")
        for way, ratio in found["cases"][name]["ratios"].items():
            print(f"{way:28}{ratio:6.2f}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
