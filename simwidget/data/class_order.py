"""`ClassOrder`: detects a loader whose samples are ordered by class."""

from collections import Counter

import torch
from torch import Tensor

MIN_CLASS_RATIO = 0.6
"""The loader counts as ordered by class below this ratio of classes per batch to those expected in random order."""


class ClassOrder:
    """Counts the classes in each batch, to detect a loader whose samples are ordered by class.

    With such a loader every measure that is computed batch by batch is biased: a batch from one class contains little
    of the variance between the classes.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._n_batches_of: Counter[tuple[int, int]] = Counter()
        """(samples, classes) -> the number of batches with so many samples and distinct classes"""

    def add(self, labels: Tensor | None) -> None:
        """Count the labels (n,) of one batch; those on a device are skipped, since reading them would wait for it."""
        if labels is None or labels.device.type != "cpu":
            return
        classes, counts = labels.unique(return_counts=True)
        for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
            self._counts[label] += count
        self._n_batches_of[len(labels), len(classes)] += 1

    def state(self) -> dict[str, list]:
        """The counts in JSON types; `restore` reads them."""
        return {"counts": [*self._counts.items()], "seen": [[*key, count] for key, count in self._n_batches_of.items()]}

    def restore(self, state: dict[str, list]) -> None:
        """Continue from the counts of another run."""
        self._counts = Counter({int(label): int(count) for label, count in state["counts"]})
        self._n_batches_of = Counter({(int(n), int(classes)): int(count) for n, classes, count in state["seen"]})

    def note(self) -> str | None:
        """A note for the user if batches contain far fewer classes than batches in random order would, else None."""
        total = sum(self._counts.values())
        batches = self._n_batches_of.copy()  # a copy, because the run may add to it on another thread
        n_batches = batches.total()
        if len(self._counts) < 2 or n_batches < 2:
            return None
        shares = torch.tensor([count / total for count in self._counts.values()], dtype=torch.float64)
        expected = sum(count * (1 - (1 - shares) ** n).sum().item() for (n, _), count in batches.items()) / n_batches
        found = sum(count * classes for (_, classes), count in batches.items()) / n_batches
        if found >= MIN_CLASS_RATIO * expected:
            return None
        return (
            f"the loader is ordered by class ({found:.1f} classes a batch, {expected:.1f} expected in random order), "
            "which biases every measure: shuffle the loader"
        )
