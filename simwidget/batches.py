"""What the loader gives: a batch's input and labels, and the order in which its samples come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

FEW_CLASSES = 0.6
"""Batches with fewer than this share of the classes expected in random order are taken for ordered by class."""


@dataclass(frozen=True)
class Batch:
    inputs: Tensor
    labels: Tensor | None
    """(n,) integer class labels on the CPU, where the batch holds some"""
    whole: Any
    """the batch as the loader gave it"""

    @property
    def n(self) -> int:
        return len(self.inputs)


def split(batch: Any, index: int) -> Batch:
    """A tensor, or a tuple or list whose first element is the input and whose second may be class labels."""
    inputs, labels = batch, None
    if isinstance(batch, tuple | list) and batch:
        inputs = batch[0]
        labels = _class_labels(batch[1], inputs) if len(batch) > 1 else None
    if not isinstance(inputs, Tensor) or inputs.ndim < 1:
        kind = f"a mapping with keys {list(batch)[:8]}" if isinstance(batch, Mapping) else type(inputs).__name__
        raise TypeError(
            f"batch {index} is {kind}: the loader must give tensors or (input, ...) tuples whose first element is "
            "the input tensor (n, ...)"
        )
    return Batch(inputs, labels, batch)


def _class_labels(labels: Any, inputs: Any) -> Tensor | None:
    integer = isinstance(labels, Tensor) and not labels.is_floating_point() and not labels.is_complex()
    if integer and isinstance(inputs, Tensor) and labels.shape == inputs.shape[:1] and labels.device.type == "cpu":
        return labels
    return None


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
            f"loader is a {type(loader).__name__}: pass an iterable of batches, such as a DataLoader or a list"
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
        self._counts: dict[int, int] = {}
        self._seen: list[tuple[int, int]] = []

    def add(self, labels: Tensor | None) -> None:
        if labels is None:
            return
        classes, counts = labels.unique(return_counts=True)
        for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
            self._counts[label] = self._counts.get(label, 0) + count
        self._seen.append((len(labels), len(classes)))

    def note(self) -> str | None:
        """A sentence for the reader when batches hold far fewer classes than batches in random order would."""
        total = sum(self._counts.values())
        if len(self._counts) < 2 or len(self._seen) < 2:
            return None
        shares = torch.tensor([count / total for count in self._counts.values()], dtype=torch.float64)
        expected = sum((1 - (1 - shares) ** n).sum().item() for n, _ in self._seen) / len(self._seen)
        found = sum(classes for _, classes in self._seen) / len(self._seen)
        if found >= FEW_CLASSES * expected:
            return None
        return (
            f"the loader is ordered by class ({found:.1f} classes a batch, {expected:.1f} expected of random order): "
            "every measure is biased by it; shuffle the loader"
        )
