"""What being watched costs a run: `python -m benchmarks.live [--turns 80] [--run NAME]`.

One run in the background, at which a page looks in every other turn of a few batches. A batch of such a turn is
compared with those of the turns before and after it, so that a machine that changes its speed does not enter.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

import simwidget as sw
from benchmarks.cases import CASES
from benchmarks.machine import machine
from benchmarks.watched import Watched


class Turns:
    """Batches over and over, for so many turns of so many; `looks(True or False)` is called as each begins."""

    def __init__(self, batches: Sequence[Any], n_turns: int, a_turn: int) -> None:
        self._batches = batches
        self._n_turns = n_turns
        self._a_turn = a_turn
        self.looks: Callable[[bool], None] = lambda on: None
        self.seconds: list[float] = []
        """of a batch, for each turn; without its first one, during which the turn before may still be drawn"""

    def __len__(self) -> int:
        return self._n_turns * self._a_turn

    def __iter__(self) -> Iterator[Any]:
        for turn in range(self._n_turns):
            self.looks(turn % 2 == 1)
            for k in range(self._a_turn):
                if k == 1:
                    begun = time.perf_counter()
                yield self._batches[(turn * self._a_turn + k) % len(self._batches)]
            self.seconds.append((time.perf_counter() - begun) / (self._a_turn - 1))

    def ratios(self) -> list[float]:
        """For each turn that was watched, its time to the mean of those around it."""
        return [
            here / statistics.mean((before, after))
            for before, here, after in zip(self.seconds[::2], self.seconds[1::2], self.seconds[2::2], strict=False)
        ]


@dataclass(frozen=True)
class Run:
    batches: Callable[[], Sequence[Any]]
    compare: Callable[[Any], sw.Comparison]
    """of a loader"""
    a_turn: int
    """batches in a turn"""


def demo(loader: Any) -> sw.Comparison:
    return sw.compare(sw.demo.load().models, loader, device="cpu")


def case(name: str, loader: Any) -> sw.Comparison:
    chosen = CASES[name]
    networks = chosen.build("cpu")
    layers_x, layers_y = map(list, chosen.chosen(networks))
    return sw.compare(
        *networks, loader, layers_x=layers_x, layers_y=layers_y, gram_batch=chosen.cpu.batch, device="cpu"
    )


def of_case(name: str, a_turn: int) -> Run:
    return Run(lambda: list(CASES[name].loader("cpu", 4)), partial(case, name), a_turn)


RUNS = {
    "demo": Run(lambda: list(sw.demo.load().loader), demo, 40),
    "resnet18": of_case("resnet18", 7),
    "resnet50-101": of_case("resnet50-101", 4),
}


def measure(run: Run, n_turns: int) -> dict[str, Any]:
    """The median ratio with its standard error, which is 1.25 times that of a mean."""
    turns = Turns(run.batches(), n_turns + 1 - n_turns % 2, run.a_turn)
    comparison = run.compare(turns)
    page = Watched(comparison)
    turns.looks = page.look
    comparison.start()
    comparison.wait_for_state("finished")
    page.close()
    ratios = turns.ratios()
    return {
        "watched over unwatched": round(statistics.median(ratios), 4),
        "standard error": round(1.25 * statistics.stdev(ratios) / math.sqrt(len(ratios)), 4),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "unwatched, s a batch": round(statistics.median(turns.seconds[::2]), 4),
        "batches a turn": run.a_turn,
        "frames a watched turn": round(page.n_frames / len(ratios), 1),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--turns", type=int, default=80, help="how many turns, watched and unwatched together")
    options.add_argument("--run", choices=RUNS, action="append", help="one of them; all by default")
    options.add_argument("--out", type=Path, help="a JSON file for the figures")
    given = options.parse_args()
    torch.manual_seed(0)
    found: dict[str, Any] = {"machine": machine("benchmarks.live"), "runs": {}}
    for name in given.run or RUNS:
        found["runs"][name] = measure(RUNS[name], given.turns)
        print(f"{name}: {found['runs'][name]}", flush=True)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
