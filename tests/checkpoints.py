"""Checkpoints of runs that were killed, and what such runs are made of."""

import random
import shutil

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import simwidget as sw
from simwidget.run.loop import take_batches


class Drawing(Dataset):
    """Samples that draw random numbers when they are read, as augmentations do: torch's, NumPy's and Python's."""

    def __init__(self, n=160, seed=1):
        self.x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        noise = torch.randn(6) + float(np.random.rand()) + random.random()
        return self.x[index] + 0.1 * noise, index % 5


class Stochastic(nn.Module):
    """A network that draws random numbers in evaluation mode too."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.second(self.first(x) + torch.randn(len(x), 8))


def mlp(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))


def stochastic(seed):
    torch.manual_seed(seed)
    return Stochastic()


def seed_everything(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def go(comparison, way="run"):
    return comparison.run(False) if way == "run" else comparison.start().wait(60)


def copied_after(comparison, n, path, copy):
    """A copy of the checkpoint as it is after n batches: what a process killed then leaves behind."""

    def look():
        if comparison.n_batches == n and comparison.state == "running":
            shutil.copy(path, copy)

    comparison.watch(look)


def cut(models, loader, folder, after=5, way="run", **options):
    """The checkpoint of a run that was killed after some batches."""
    comparison = sw.compare(models, loader, checkpoint=folder / "whole", checkpoint_seconds=0, device="cpu", **options)
    copied_after(comparison, after, folder / "whole", folder / "cut")
    go(comparison, way)
    return folder / "cut"


def steps_of(comparison):
    """The run of a comparison, one batch at each step."""
    comparison._begin()
    return take_batches(comparison._held, comparison._lifecycle)


LOADERS = {
    "shuffled": lambda: DataLoader(Drawing(), batch_size=16, shuffle=True),
    "workers": lambda: DataLoader(Drawing(), batch_size=16, shuffle=True, num_workers=2),
    "own generator": lambda: DataLoader(
        Drawing(), batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(3)
    ),
    "an uneven end": lambda: DataLoader(Drawing(150), batch_size=16),
    "a list": lambda: list(torch.randn(10, 16, 6, generator=torch.Generator().manual_seed(4))),
}
