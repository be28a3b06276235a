"""Times next to the bare forward pass of the same batches."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass
class Times:
    """Of one tool."""

    ratios: list[float] = field(default_factory=list)
    """to the mean of the bare forward passes right before and right after it"""
    seconds: list[float] = field(default_factory=list)
    """of a batch, of the tool itself"""

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def fastest(self) -> float:
        """The fastest of its times to the fastest of the bare passes beside them."""
        return min(self.seconds) / min(one / ratio for one, ratio in zip(self.seconds, self.ratios, strict=True))

    def as_dict(self) -> dict[str, Any]:
        return {
            "ratio to bare forward": self.ratio,
            "fastest to fastest": self.fastest,
            "ratios": self.ratios,
            "s a batch": self.seconds,
        }


@dataclass(frozen=True)
class Timed:
    """A call with a loader, timed over so many batches, at most so many times."""

    call: Callable[[Any], object]
    n_batches: int
    repeats: int


def seconds(call: Callable[[Any], object], loader: Any, device: str) -> float:
    gc.collect()  # what one tool left behind is not the next one's time
    begun = time.perf_counter()
    call(loader)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def interleave(
    bare: Callable[[Any], object], tools: Mapping[str, Timed], loader: Callable[[int], Any], device: str
) -> tuple[list[float], dict[str, Times]]:
    """The bare forward pass's seconds a batch, and each tool's times; the bare pass goes before and after each.

    A machine that others share changes its speed within seconds; the mean of both sides follows it.
    """
    seconds(bare, loader(1), device)
    for tool in tools.values():  # what is imported and allocated once is nobody's time
        if tool.repeats > 1:
            seconds(tool.call, loader(1), device)

    def a_batch(call: Callable[[Any], object], n_batches: int) -> float:
        return seconds(call, loader(n_batches), device) / n_batches

    most = max(tool.n_batches for tool in tools.values())
    floors = [a_batch(bare, most)]
    times = {name: Times() for name in tools}
    for repeat in range(max(tool.repeats for tool in tools.values())):
        for name, tool in tools.items():
            if repeat >= tool.repeats:
                continue
            found = a_batch(tool.call, tool.n_batches)
            floors.append(a_batch(bare, most))
            times[name].ratios.append(found / statistics.mean(floors[-2:]))
            times[name].seconds.append(found)
    return floors, times
