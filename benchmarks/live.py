"""What being watched costs a run: live against headless, interleaved: `python -m benchmarks.live [--repeats 7]`."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

import simwidget as sw
from benchmarks.cases import CASES
from benchmarks.machine import machine
from benchmarks.watched import watched


class Passes:
    """A loader several times over."""

    def __init__(self, loader: DataLoader, times: int) -> None:
        self.loader, self.times = loader, times

    def __len__(self) -> int:
        return self.times * len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.times):
            yield from self.loader


def demo() -> sw.Comparison:
    models, loader, _ = sw.demo.load()
    return sw.compare(models, Passes(loader, 2), device="cpu")


def case(name: str, n_batches: int) -> sw.Comparison:
    chosen = CASES[name]
    networks = chosen.build("cpu")
    layers_x, layers_y = map(list, chosen.chosen(networks))
    loader = chosen.loader("cpu", n_batches)
    return sw.compare(
        *networks, loader, layers_x=layers_x, layers_y=layers_y, gram_batch=chosen.cpu.batch, device="cpu"
    )


RUNS: dict[str, Callable[[], sw.Comparison]] = {
    "demo": demo,
    "resnet18": partial(case, "resnet18", 40),
    "resnet50-101": partial(case, "resnet50-101", 12),
}


def headless(comparison: sw.Comparison) -> tuple[float, float, int]:
    """Seconds, seconds of processor time, and frames."""
    begun, busy = time.perf_counter(), time.process_time()
    comparison.start()
    comparison.wait_for_state("finished")
    return time.perf_counter() - begun, time.process_time() - busy, 0


def live(comparison: sw.Comparison) -> tuple[float, float, int]:
    with watched(comparison) as frames:
        seconds, busy, _ = headless(comparison)
    return seconds, busy, frames.count


def measure(make: Callable[[], sw.Comparison], repeats: int) -> dict[str, Any]:
    headless(make())
    ratios, busy, floors, frames = [], [], [], []
    for repeat in range(repeats):
        found = {way: way(make()) for way in ((headless, live) if repeat % 2 else (live, headless))}
        ratios.append(found[live][0] / found[headless][0])
        busy.append(found[live][1] / found[headless][1])
        floors.append(found[headless][0])
        frames.append(found[live][2])
    return {
        "live over headless": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "the same in processor time": round(statistics.median(busy), 3),
        "headless, s": round(statistics.median(floors), 2),
        "frames": statistics.median(frames),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=15)
    options.add_argument("--run", choices=RUNS, action="append", help="one of them; all by default")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    torch.manual_seed(0)
    found: dict[str, Any] = {"machine": machine("benchmarks.live"), "runs": {}}
    for name in given.run or RUNS:
        found["runs"][name] = measure(RUNS[name], given.repeats)
        print(f"{name}: {found['runs'][name]}", flush=True)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
