"""What being watched costs a run: live against headless, interleaved: `python -m benchmarks.live [--repeats 7]`.

The page is a stand-in that acknowledges every frame at once, so the publisher works as hard as it ever does.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

import simwidget as sw
from benchmarks.cases import CASES


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


def resnet18() -> sw.Comparison:
    case = CASES["resnet18"]
    return sw.compare(*case.build("cpu"), case.loader(16), gram_batch=case.batch, device="cpu")


def headless(comparison: sw.Comparison) -> tuple[float, float, int]:
    """Seconds, seconds of processor time, and frames."""
    begun, busy = time.perf_counter(), time.process_time()
    comparison.start()
    comparison.wait_for_state("finished")
    return time.perf_counter() - begun, time.process_time() - busy, 0


def live(comparison: sw.Comparison) -> tuple[float, float, int]:
    widget = sw.SimilarityHeatmap(comparison)
    frames = 0

    def page(content: dict, buffers: Any = None) -> None:
        nonlocal frames
        if content["type"] == "frame":
            frames += 1
            widget._hear(widget, {"type": "ack", "client": "page", "seq": content["seq"], "hidden": False}, [])

    widget.send = page
    widget._hear(widget, {"type": "ready", "client": "page", "run_id": "", "have_seq": 0}, [])
    layers = [axis["layers"][-1] for axis in widget.axes]
    widget.select(layers[0], layers[1])  # a held pair is sent its curves
    seconds, busy, _ = headless(comparison)
    widget.close()
    return seconds, busy, frames


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
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    torch.manual_seed(0)
    found = {}
    for name, make in (("demo", demo), ("resnet18 x 2", resnet18)):
        found[name] = measure(make, given.repeats)
        print(f"{name}: {found[name]}", flush=True)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
