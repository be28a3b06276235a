"""(f) How the cost grows with layers, samples a batch and measures: `python -m benchmarks.growth [--device cuda]`.

Two perceptrons of linear layers, 256 wide, every layer compared: next to nothing to run, so that what is seen is the
cost of comparing, in milliseconds a batch above the bare forward pass.
"""

import argparse
import statistics
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import simwidget as sw
from benchmarks.timing import Timed, interleave
from benchmarks.tools import bare_forward, pytorch_cka
from simwidget.measures import MEASURES

WIDTH = 256
LAYERS = (10, 30, 100, 300, 1000)
BATCHES = (32, 64, 128, 256, 512, 1024)
N_BATCHES = 8


def perceptrons(n_layers: int, device: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    first, second = (
        nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(n_layers))).eval().to(device) for _ in range(2)
    )
    return first, second


def batches(batch: int, n_batches: int) -> DataLoader:
    samples = torch.randn(batch * n_batches, WIDTH, generator=torch.Generator().manual_seed(1))
    return DataLoader(TensorDataset(samples, torch.zeros(len(samples))), batch_size=batch)


def ours(networks: tuple[nn.Module, nn.Module], measures: tuple[str, ...], device: str, loader: Any) -> None:
    sw.compare(*networks, loader, layers=["*"], measures=measures, gram_batch=loader.batch_size, device=device).run(
        progress=False
    )


def row(n_layers: int, batch: int, n_measures: int, device: str, repeats: int) -> dict[str, Any]:
    networks = perceptrons(n_layers, device)
    names = tuple(str(k) for k in range(n_layers))
    measures = tuple(MEASURES)[:n_measures]
    tools = {
        "simwidget": Timed(partial(ours, networks, measures, device), N_BATCHES, repeats),
        "pytorch-cka": Timed(lambda one: pytorch_cka(*networks, one, (names, names), device), N_BATCHES, repeats),
    }
    bare, times = interleave(
        lambda one: bare_forward(*networks, one, (names, names), device), tools, partial(batches, batch), device
    )
    floor = statistics.median(bare)
    found: dict[str, Any] = {"layers": n_layers, "batch": batch, "measures": len(measures), "bare, ms": 1000 * floor}
    for name, one in times.items():
        found[f"{name}, ms above"] = 1000 * (statistics.median(one.seconds) - floor)
    return found


def measure(device: str, repeats: int = 3) -> list[dict[str, Any]]:
    """By layers at 64 samples a batch, by samples at 30 layers, by measures at 100 layers."""
    settings = [(n, 64, 2) for n in LAYERS] + [(30, n, 2) for n in BATCHES]
    settings += [(100, 64, k) for k in range(1, len(MEASURES) + 1)]
    found = []
    for setting in dict.fromkeys(settings):
        found.append(row(*setting, device, repeats))
        print(", ".join(f"{key} {value:.4g}" for key, value in found[-1].items()), flush=True)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    measure(options.parse_args().device)


if __name__ == "__main__":
    main()
