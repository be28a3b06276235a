"""Whether the samples of a loader come ordered by class."""

from collections import Counter

import torch
from torch import Tensor

MIN_CLASS_RATIO = 0.6
"""Batches with fewer than this share of the classes expected in random order are taken for ordered by class."""


class ClassOrder:
    """Watches the labels go by and tells when they come ordered by class.

    Every measure that is computed batch by batch is biased then: a batch from one class has little of the variance
    that lies between the classes.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._n_batches_of: Counter[tuple[int, int]] = Counter()
        """how many batches had so many samples of so many classes"""

    def add(self, labels: Tensor | None) -> None:
        if labels is None or labels.device.type != "cpu":  # the loop never waits for a device
            return
        classes, counts = labels.unique(return_counts=True)
        for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
            self._counts[label] += count
        self._n_batches_of[len(labels), len(classes)] += 1

    def state(self) -> dict[str, list]:
        return {"counts": [*self._counts.items()], "seen": [[*key, count] for key, count in self._n_batches_of.items()]}

    def restore(self, state: dict[str, list]) -> None:
        self._counts = Counter({int(label): int(count) for label, count in state["counts"]})
        self._n_batches_of = Counter({(int(n), int(classes)): int(count) for n, classes, count in state["seen"]})

    def note(self) -> str | None:
        """A sentence for the reader when batches hold far fewer classes than batches in random order would."""
        total = sum(self._counts.values())
        batches = self._n_batches_of.copy()  # at once: the pass may add to it on its own thread
        n_batches = batches.total()
        if len(self._counts) < 2 or n_batches < 2:
            return None
        shares = torch.tensor([count / total for count in self._counts.values()], dtype=torch.float64)
        expected = sum(count * (1 - (1 - shares) ** n).sum().item() for (n, _), count in batches.items()) / n_batches
        found = sum(count * classes for (_, classes), count in batches.items()) / n_batches
        if found >= MIN_CLASS_RATIO * expected:
            return None
        return (
            f"the loader is ordered by class ({found:.1f} classes a batch, {expected:.1f} expected of random order): "
            "every measure is biased by it; shuffle the loader"
        )
