"""Cost next to the bare forward pass: `python -m benchmarks [--case NAME] [--device cuda] [--out FILE.json]`."""

import argparse
import gc
import json
import platform
import statistics
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from benchmarks.cases import CASES, Case
from benchmarks.memory import peak_megabytes
from benchmarks.oracle import unbiased_cka
from benchmarks.tools import MODULES, SLOW_TOOLS, TOOLS, Tool, bare_forward


def seconds(tool: Tool, case: Case, networks: tuple, n_batches: int, device: str) -> float:
    loader = case.loader(n_batches)
    gc.collect()  # what one tool left behind is not the next one's time
    begun = time.perf_counter()
    tool(*networks, loader, case.layers, device)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def measure(name: str, device: str, repeats: int) -> dict:
    """Ratios to the bare forward, peak memory above it, and errors, for every installed tool."""
    case = CASES[name]
    networks = case.build(device)
    tools = {tool: (call, case.n_batches, repeats) for tool, call in TOOLS.items()}
    if case.slow_peers:
        tools |= {tool: (call, 1, 1) for tool, call in SLOW_TOOLS.items()}
    tools = {tool: about for tool, about in tools.items() if find_spec(MODULES[tool])}
    seconds(bare_forward, case, networks, 1, device)
    times: dict[str, list[float]] = {}
    bare: list[float] = []
    for repeat in range(repeats):
        for tool, (call, n_batches, times_at_most) in tools.items():
            if repeat < times_at_most:
                floor = seconds(bare_forward, case, networks, n_batches, device)
                bare.append(floor / n_batches)
                times.setdefault(tool, []).append(seconds(call, case, networks, n_batches, device) / floor)
    floor_memory = peak_megabytes(name, "bare forward", device)
    rows = {}
    truth = None if case.layers is None else unbiased_cka(*networks, case.loader(1), case.layers)
    for tool, (call, n_batches, _) in tools.items():
        error = None
        if truth is not None and tool != "simtorch":
            error = float(np.abs(call(*networks, case.loader(1), case.layers, device) - truth).max())
        rows[tool] = {
            "ratio to bare forward": statistics.median(times[tool]),
            "ratios": times[tool],
            "batches": n_batches,
            "peak MB above bare forward": peak_megabytes(name, tool, device) - floor_memory,
            "largest error": error,
        }
    return {"bare forward, s a batch": statistics.median(bare), "tools": rows}


def machine(device: str) -> dict:
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
        cpu = names[0] if names else cpu
    gpu = torch.cuda.get_device_name() if device == "cuda" else None
    return {"cpu": cpu, "threads": torch.get_num_threads(), "gpu": gpu, "torch": torch.__version__}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--case", choices=CASES, action="append", help="one case; all by default")
    options.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--out", type=Path, help="a JSON file for the figures")
    args = options.parse_args()
    found = {"machine": machine(args.device), "cases": {}}
    print(json.dumps(found["machine"]))
    for name in args.case or CASES:
        case = found["cases"][name] = measure(name, args.device, args.repeats)
        print(f"\n{name}: bare forward of both networks {case['bare forward, s a batch']:.3f} s a batch")
        print(f"{'':14}{'ratio':>8}{'MB above':>10}{'error':>10}")
        for tool, row in case["tools"].items():
            error = "" if row["largest error"] is None else f"{row['largest error']:.1e}"
            memory = row["peak MB above bare forward"]
            print(f"{tool:14}{row['ratio to bare forward']:8.2f}{memory:10.0f}{error:>10}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
