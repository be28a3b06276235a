"""`ClassOrder`: detects a loader whose samples are ordered by class."""

from collections import Counter

import torch
from torch import Tensor

MIN_CLASS_RATIO = 0.6
"""Limit below which a loader counts as ordered by class.

The limit applies to a ratio: the mean number of distinct classes in a batch, divided by the number that would be
expected if the samples were in random order.
"""


class ClassOrder:
    """Counts the classes in each batch, to detect a loader whose samples are ordered by class.

    With such a loader a batch has few classes, and therefore little of the variance between classes. This biases every
    measure that is computed batch by batch.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._n_batches_of: Counter[tuple[int, int]] = Counter()
        """the number of batches for each pair (number of samples, number of distinct classes)"""

    def add(self, labels: Tensor | None) -> None:
        """Count the class labels (n,) of one batch.

        Labels on an accelerator are not counted, because reading them would wait for the device.
        """
        if labels is None or labels.device.type != "cpu":
            return
        classes, counts = labels.unique(return_counts=True)
        for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
            self._counts[label] += count
        self._n_batches_of[len(labels), len(classes)] += 1

    def state(self) -> dict[str, list]:
        """Return the counts as a dictionary of JSON types; `restore` accepts this dictionary."""
        return {"counts": [*self._counts.items()], "seen": [[*key, count] for key, count in self._n_batches_of.items()]}

    def restore(self, state: dict[str, list]) -> None:
        """Replace the counts by those of another run; the argument is a dictionary that the method `state` returned."""
        self._counts = Counter({int(label): int(count) for label, count in state["counts"]})
        self._n_batches_of = Counter({(int(n), int(classes)): int(count) for n, classes, count in state["seen"]})

    def note(self) -> str | None:
        """Return a warning for the user if the loader is ordered by class (see `MIN_CLASS_RATIO`), else None."""
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
