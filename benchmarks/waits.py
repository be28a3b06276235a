"""What makes the host wait for the GPU in each batch: `python -m benchmarks.waits [--case NAME] [--out FILE.json]`.

A run of some batches and one of twice as many are watched, for the warnings of `torch.cuda.set_sync_debug_mode` and for
the synchronising calls that `torch.profiler` sees; what the longer run has more of belongs to the loop. The bare
forward pass, which copies each batch to the GPU, is counted beside it. Without a GPU, tests/run/test_waits.py shows the
same with tensors that cannot be read at all.
"""

import argparse
import json
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.cases import CASES
from benchmarks.machine import machine
from benchmarks.tools import bare_forward, simwidget, simwidget_high


def waits(run: Callable[[], object]) -> Counter[str]:
    """The warnings of PyTorch, by line, and the calls that the profiler sees, by name."""
    found: Counter[str] = Counter()
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    for one in caught:
        if "synchroniz" in str(one.message):
            found[f"warning at {Path(one.filename).name}:{one.lineno}"] += 1
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        run()
    for event in profile.key_averages():
        if event.key.startswith("cu") and "Synchronize" in event.key:
            found[event.key] += event.count
    return found


def by_batch(tool: Callable[..., object], case: str, n_batches: int = 4) -> dict[str, float]:
    """How often a batch in the loop waits, by what for."""
    chosen = CASES[case]
    networks = chosen.build("cuda")
    layers = chosen.chosen(networks)

    def run(n: int) -> object:
        return tool(*networks, chosen.loader("cuda", n), layers, "cuda")

    run(1)
    few, many = (waits(lambda n=n: run(n)) for n in (n_batches, 2 * n_batches))  # type: ignore[misc]
    more = {what: (many[what] - few[what]) / n_batches for what in many}
    return {what: number for what, number in more.items() if number > 0}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--case", choices=CASES, action="append", help="one case; (a) and (b) by default")
    options.add_argument("--out", type=Path, help="a JSON file for the figures")
    args = options.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no GPU here, and on a CPU nothing waits: run it where torch.cuda.is_available()")
    found: dict[str, Any] = {"machine": machine("benchmarks.waits", "cuda"), "cases": {}}
    tools = {"bare forward": bare_forward, "simwidget": simwidget, 'simwidget, "high"': simwidget_high}
    for name in args.case or ("resnet18", "densenet121-resnet101"):
        each = found["cases"][name] = {tool: by_batch(call, name) for tool, call in tools.items()}
        for tool, counts in each.items():
            print(f"{name}, {tool}: {counts or 'nothing'}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
