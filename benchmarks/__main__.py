"""Cost next to the bare forward pass: `python -m benchmarks [--case NAME] [--device cuda] [--out FILE.json]`."""

import argparse
import json
import statistics
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import growth
from benchmarks.cases import CASES
from benchmarks.machine import machine
from benchmarks.memory import DoesNotRunError, peak_megabytes
from benchmarks.oracle import unbiased_cka
from benchmarks.timing import Timed, interleave
from benchmarks.tools import EVERY_TOOL, MODULES, SLOW_TOOLS, TOOLS, bare_forward

SLOW_SECONDS = 240
"""How long a tool may take that forms every Gram matrix once for every pair, to load and for one batch."""


def measure(name: str, device: str, repeats: int | None) -> dict[str, Any]:
    """Ratios to the bare forward, peak memory above it, and errors, for every installed tool that runs the case."""
    case = CASES[name]
    size = case.size(device)
    networks = case.build(device)
    layers = case.chosen(networks)
    tools, memory, failed = {}, {}, {}
    for tool in [*TOOLS, *(SLOW_TOOLS if case.slow_peers else ())]:
        slow = tool in SLOW_TOOLS
        if not tool.startswith("simwidget") and not find_spec(MODULES.get(tool, tool)):
            continue
        try:  # which tells whether it runs at all
            memory[tool] = peak_megabytes(name, tool, device, SLOW_SECONDS if slow else None)
        except DoesNotRunError as problem:
            failed[tool] = str(problem)
            continue
        run = partial(run_tool, tool, networks, layers, device)
        tools[tool] = Timed(run, 1 if slow else size.n_batches, 1 if slow else repeats or size.repeats)
    bare, times = interleave(
        lambda loader: bare_forward(*networks, loader, layers, device), tools, partial(case.loader, device), device
    )
    truth = unbiased_cka(*networks, case.loader(device, 1), layers)
    floor_memory = peak_megabytes(name, "bare forward", device)
    rows = {}
    for tool, one in times.items():
        found = (
            None
            if tool in ("simtorch", "ckatorch")
            else run_tool(tool, networks, layers, device, case.loader(device, 1))
        )
        error = None if found is None else truth.largest_error(found, not tool.startswith("simwidget"))
        rows[tool] = one.as_dict() | {
            "batches": tools[tool].n_batches,
            "peak MB above bare forward": memory[tool] - floor_memory,
            "largest error": error,
        }
    about = {"about": case.about, "batch": size.batch, "layers": [len(names) for names in layers]}
    return about | {"bare forward, s a batch": statistics.median(bare), "tools": rows, "failed": failed}


def run_tool(tool: str, networks: Any, layers: Any, device: str, loader: Any) -> Any:
    return EVERY_TOOL[tool](*networks, loader, layers, device)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--case", choices=[*CASES, "growth"], action="append", help="one case; all by default")
    options.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options.add_argument("--repeats", type=int, help="instead of each case's own number")
    options.add_argument("--out", type=Path, help="a JSON file for the figures")
    args = options.parse_args()
    found: dict[str, Any] = {"machine": machine("benchmarks", args.device), "cases": {}}
    print(json.dumps(found["machine"]))
    for name in args.case or [*CASES, "growth"]:
        if name == "growth":
            print("\n(f) growth")
            found["growth"] = growth.measure(args.device)
            continue
        case = found["cases"][name] = measure(name, args.device, args.repeats)
        print(f"\n{case['about']}: bare forward of both networks {case['bare forward, s a batch']:.3f} s a batch")
        print(f"{'':18}{'ratio':>8}{'fastest':>9}{'MB above':>10}{'error':>10}")
        for tool, row in case["tools"].items():
            error = "" if row["largest error"] is None else f"{row['largest error']:.1e}"
            memory = row["peak MB above bare forward"]
            ratios = f"{row['ratio to bare forward']:8.2f}{row['fastest to fastest']:9.2f}"
            print(f"{tool:18}{ratios}{memory:10.0f}{error:>10}", flush=True)
        for tool, problem in case["failed"].items():
            print(f"{tool:18} does not run it: {problem}")
        if args.out:
            args.out.write_text(json.dumps(found, indent=1) + "\n")
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
