"""The loader: whether it can feed all models, and the order in which its samples come."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

from simwidget.text.printable import describe_type

FEW_CLASSES = 0.6
"""Batches with fewer than this share of the classes expected in random order are taken for ordered by class."""


def check_loader(loader: Any) -> Iterable:
    """The loader that feeds all models.

    Two loaders shuffled apart compare different samples without a word, so a pair is refused, unless both read the
    same data set in the same provable order; then the first one is enough.
    """
    if isinstance(loader, tuple | list) and loader and all(isinstance(one, DataLoader) for one in loader):
        if len({_provable_order(one) for one in loader}) == 1 and _provable_order(loader[0]) is not None:
            return loader[0]
        raise ValueError(
            f"{len(loader)} loaders were given: shuffled apart they compare different samples. "
            "Pass one loader; the same pass over it feeds all models"
        )
    if isinstance(loader, torch.Tensor | str | Mapping) or not isinstance(loader, Iterable):
        raise TypeError(
            f"loader is {describe_type(loader)}: pass an iterable of batches, such as a DataLoader or a list"
        )
    return loader


def _provable_order(loader: DataLoader) -> tuple | None:
    if not isinstance(loader.sampler, SequentialSampler) or loader.batch_size is None:
        return None
    return id(loader.dataset), loader.batch_size, loader.drop_last


def describe_loader(loader: Any) -> dict[str, Any]:
    """What the provenance says of the order and size of the batches."""
    if not isinstance(loader, DataLoader):
        return {"loader": type(loader).__name__}
    return {
        "loader": type(loader).__name__,
        "sampler": type(loader.sampler).__name__,
        "batch_size": loader.batch_size,
        "drop_last": loader.drop_last,
        "dataset": type(loader.dataset).__name__,
    }


class ClassOrder:
    """Watches the labels go by and tells when they come ordered by class.

    Every measure that is computed batch by batch is biased then: a batch from one class has little of the variance
    that lies between the classes.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._seen: Counter[tuple[int, int]] = Counter()
        """how many batches had so many samples of so many classes"""

    def add(self, labels: Tensor | None) -> None:
        if labels is None or labels.device.type != "cpu":  # the loop never waits for a device
            return
        classes, counts = labels.unique(return_counts=True)
        for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
            self._counts[label] += count
        self._seen[len(labels), len(classes)] += 1

    def state(self) -> dict[str, list]:
        return {"counts": [*self._counts.items()], "seen": [[*key, count] for key, count in self._seen.items()]}

    def restore(self, state: dict[str, list]) -> None:
        self._counts = Counter({int(label): int(count) for label, count in state["counts"]})
        self._seen = Counter({(int(n), int(classes)): int(count) for n, classes, count in state["seen"]})

    def note(self) -> str | None:
        """A sentence for the reader when batches hold far fewer classes than batches in random order would."""
        total = sum(self._counts.values())
        seen = self._seen.copy()  # at once: the pass may add to it on its own thread
        n_batches = seen.total()
        if len(self._counts) < 2 or n_batches < 2:
            return None
        shares = torch.tensor([count / total for count in self._counts.values()], dtype=torch.float64)
        expected = sum(count * (1 - (1 - shares) ** n).sum().item() for (n, _), count in seen.items()) / n_batches
        found = sum(count * classes for (_, classes), count in seen.items()) / n_batches
        if found >= FEW_CLASSES * expected:
            return None
        return (
            f"the loader is ordered by class ({found:.1f} classes a batch, {expected:.1f} expected of random order): "
            "every measure is biased by it; shuffle the loader"
        )
