"""Two checkouts in turns, this one and another: `python -m benchmarks.versus FOLDER [--case NAME] [--repeats 9]`.

FOLDER is a checkout of another commit (`git worktree add FOLDER COMMIT`). Each repeat starts one process in either
checkout, in turns, and prints the time of a run relative to the bare forward passes around it; then the ratio of the
two medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.cases import CASES

HERE = Path(__file__).parents[1]

ONE_RUN = """
import json, sys
from benchmarks.cases import CASES
from benchmarks.timing import Timed, interleave
from benchmarks.tools import bare_forward, simwidget
case = CASES[sys.argv[1]]
networks = case.build("cpu")
layers = case.chosen(networks)
_, times = interleave(
    lambda loader: bare_forward(*networks, loader, layers, "cpu"),
    {"simwidget": Timed(lambda loader: simwidget(*networks, loader, layers, "cpu"), case.cpu.n_batches, 2)},
    lambda n_batches: case.loader("cpu", n_batches),
    "cpu",
)
print(json.dumps(times["simwidget"].ratios))
"""


def ratios(checkout: Path, case: str) -> list[float]:
    """Times of two runs of the package in `checkout`, each relative to the bare forward passes around it."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    process = subprocess.run(
        [sys.executable, "-c", ONE_RUN, case], cwd=checkout, env=environment, check=True, capture_output=True, text=True
    )
    found: list[float] = json.loads(process.stdout.splitlines()[-1])
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("other", type=Path, help="the checkout to compare with")
    options.add_argument("--case", choices=CASES, action="append", help="one of them; (a) and (c) by default")
    options.add_argument("--repeats", type=int, default=9)
    given = options.parse_args()
    for case in given.case or ("resnet18", "resnet50-101"):
        found: dict[Path, list[float]] = {HERE: [], given.other.resolve(): []}
        for repeat in range(given.repeats):
            for checkout in list(found)[:: 1 if repeat % 2 else -1]:
                found[checkout] += ratios(checkout, case)
        here, other = found.values()
        print(
            f"{CASES[case].about}: here {statistics.median(here):.3f} ({min(here):.3f} to {max(here):.3f}), "
            f"there {statistics.median(other):.3f} ({min(other):.3f} to {max(other):.3f}) of the bare forward pass; "
            f"ratio of medians {statistics.median(here) / statistics.median(other):.3f}, n = {len(here)} each",
            flush=True,
        )


if __name__ == "__main__":
    main()
