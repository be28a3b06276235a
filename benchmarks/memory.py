"""Peak memory of one tool on one case, in a process of its own: `python -m benchmarks.memory CASE TOOL DEVICE`."""

import re
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.cases import CASES
from benchmarks.tools import EVERY_TOOL, SLOW_TOOLS


class DoesNotRunError(Exception):
    """Of a tool that fails on a case, or is not done with it in time."""


def peak_megabytes(case: str, tool: str, device: str, limit: float | None = None) -> float:
    """Run the tool in a fresh process and read its peak: of the allocator on CUDA, of the resident set on the CPU.

    Raises DoesNotRunError with the tool's own last words, and where it takes more than `limit` seconds.
    """
    command = [sys.executable, "-m", "benchmarks.memory", case, tool, device]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise DoesNotRunError(f"not done with one batch in {limit:g} s") from None
    except subprocess.CalledProcessError as problem:
        raise DoesNotRunError(problem.stderr.strip().splitlines()[-1]) from None
    return float(run.stdout.split()[-1])


def main(case: str, tool: str, device: str) -> None:
    chosen = CASES[case]
    networks = chosen.build(device)
    loader = chosen.loader(device, 1 if tool in SLOW_TOOLS else min(2, chosen.size(device).n_batches))
    EVERY_TOOL[tool](*networks, loader, chosen.chosen(networks), device)
    if device == "cuda":
        print(torch.cuda.max_memory_allocated() / 2**20)
    else:
        # not getrusage: its peak is inherited from the process that started this one
        status = Path("/proc/self/status").read_text()
        print(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**10)  # type: ignore[index]


if __name__ == "__main__":
    main(*sys.argv[1:])
