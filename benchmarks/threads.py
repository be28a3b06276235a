"""Runs while other threads use their networks: `python -m benchmarks.threads [--runs 200] [--modules 3000]`.

Three threads, at a switch interval of a microsecond, save, call and copy a network that background runs begin and end
to compare, and call another one. Whatever they raise or miss, for an instant only, is a failure.
"""

import argparse
import copy
import sys
from collections.abc import Callable
from threading import Event, Thread

import torch
from torch import Tensor, nn

import simwidget as sw

SWITCH_INTERVAL = 1e-6


class Scale(nn.Module):
    """A parameter and a buffer, and hardly any time."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("offset", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.offset


def network(n_modules: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Sequential(Scale(), nn.Identity()) for _ in range(n_modules // 3)))


class Use:
    """A thread that does the same over and over, until the end or until something is wrong."""

    def __init__(self, name: str, call: Callable[[], None], end: Event) -> None:
        self.name = name
        self.count = 0
        self.problem: BaseException | None = None
        self._call, self._end = call, end
        self.thread = Thread(target=self._work, name=name)
        self.thread.start()

    def _work(self) -> None:
        try:
            while not self._end.is_set():
                self._call()
                self.count += 1
        except BaseException as problem:
            self.problem = problem


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def use_during_runs(n_runs: int, n_modules: int) -> list[Use]:
    """The uses, with what went wrong in them, after so many background runs."""
    inside, outside = network(n_modules), network(30)
    names = list(inside.state_dict())
    n_parameters = len(list(inside.parameters()))
    x = torch.randn(8, 2)

    def save() -> None:
        expect(list(inside.state_dict()) == names, "state_dict() lacks a name")
        expect(len(list(inside.parameters())) == n_parameters, "parameters() lacks one")

    @torch.no_grad()
    def call() -> None:
        outside(x)
        inside(x)

    def copy_it() -> None:
        copied = copy.deepcopy(inside)
        expect(list(copied.state_dict()) == names, "a copy lacks a name")
        expect(all(module.training for module in copied.modules()), "a copy is in evaluation mode")
        expect(not any(module._forward_hooks for module in copied.modules()), "a copy has a hook")

    before = sys.getswitchinterval()
    end = Event()
    uses = []
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        uses += [Use(name, one, end) for name, one in (("save", save), ("call", call), ("copy", copy_it))]
        for _ in range(n_runs):
            layers = [str(len(inside) // 3), str(len(inside) - 1)]
            batches = [torch.randn(16, 2)]
            sw.compare({"net": inside}, batches, layers=layers, gram_batch=16, device="cpu").start().wait()
    finally:
        end.set()
        for use in uses:
            use.thread.join()
        sys.setswitchinterval(before)
    expect(
        all(module.training and not module._forward_hooks for module in inside.modules()), "something is left behind"
    )
    return uses


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--modules", type=int, default=3000)
    given = options.parse_args()
    uses = use_during_runs(given.runs, given.modules)
    for use in uses:
        print(f"{use.name}: {use.count} times, {'no error' if use.problem is None else repr(use.problem)}")
    sys.exit(any(use.problem is not None for use in uses))


if __name__ == "__main__":
    main()
