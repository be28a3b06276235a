"""Runs in a process whose memory is limited, so that memory runs out as it does on a CPU."""

import json
import resource
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

import simwidget as sw

SAMPLE = 2**24
"""bytes that a forward pass takes for each sample: far more than the 64 MB that a thread may reserve for itself"""
FREE = 24 * SAMPLE
"""bytes that the process may take: enough for 16 samples, not for 32"""


class Hungry(nn.Module):
    """Takes memory for each sample in one of the ways in which networks do."""

    def __init__(self, takes):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)
        self.takes = takes

    def forward(self, x):
        x = self.first(x)
        n = SAMPLE * len(x)
        _ = torch.empty(n, dtype=torch.uint8) if self.takes == "tensor" else bytearray(n)
        return self.second(x)


def run(takes, batches, **options):
    """The numbers of a run, and how it ended; of a failed run too."""
    comparison = sw.compare({"a": Hungry(takes)}, batches, device="cpu", **options)
    with warnings.catch_warnings(), suppress(MemoryError, RuntimeError):
        warnings.simplefilter("ignore")
        comparison.run(progress=False)
    result = comparison.result
    numbers = {measure: np.nan_to_num(result.matrix(measure)).tolist() for measure in ("cka", "dcka")}
    return {
        "numbers": numbers,
        "n_samples": result.n_samples,
        "state": comparison.state,
        "error": comparison.progress.error,
        "notes": list(result.notes),
    }


def limit_memory():
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + FREE, resource.RLIM_INFINITY))


def main(takes):
    torch.set_num_threads(1)
    small, large = list(torch.randn(1, 16, 6)), list(torch.randn(2, 64, 6))
    before = {"small": run(takes, small, gram_batch=16), "large": run(takes, large)}
    limit_memory()
    after = {
        "fails": run(takes, [*small, *large], gram_batch=16),
        "halves": run(takes, large, auto_batch=True),
    }
    print(json.dumps({**before, **after}))
