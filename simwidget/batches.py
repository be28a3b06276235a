"""What the loader gives: a batch's input and labels, and the order in which its samples come."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, SequentialSampler

from simwidget.masks import NO_MASKS, PADDING, REAL, Masks, masks_in
from simwidget.outputs import tensors_in
from simwidget.printable import a_kind
from simwidget.uploads import Uploads

FEW_CLASSES = 0.6
"""Batches with fewer than this share of the classes expected in random order are taken for ordered by class."""
LABELS = ("labels", "label", "targets", "target", "y")
"""Keys of a mapping that hold class labels."""
SMALLEST_IMAGE = 8
"""Pixels: a list of tensors (c, h, w) with smaller sides is not taken for a list of images."""
FEWEST_IMAGES = 3
"""A list of fewer is taken for an input and its labels; put it into a tuple, (images,)."""


@dataclass(frozen=True)
class Batch:
    """One batch of the loader, or what `inputs=` makes of it for one network."""

    n: int
    whole: Any
    """the batch as the loader gave it"""
    inputs: Any
    """its part that models take: a tensor, a mapping, a list of images, several of these"""
    batch_dim: int = 0
    """where the samples lie in the inputs' tensors"""
    labels: Tensor | None = None
    """(n,) integer class labels, where the batch holds some"""
    masks: Masks = NO_MASKS
    uploads: Uploads = field(default_factory=Uploads, repr=False, compare=False)
    """its tensors on the devices of the networks"""

    @cached_property
    def tensor(self) -> Tensor | None:
        """The input as one tensor (n, ...): the first of the inputs that is floating, else the first."""
        inputs = self.inputs
        if isinstance(inputs, Mapping):
            inputs = {key: one for key, one in inputs.items() if key not in (*LABELS, *REAL, *PADDING)}
        images = _is_sequence(inputs) and is_images(inputs)
        tensors = () if images else tensors_in(inputs)
        fitting = [one for one in map(self._samples_first, tensors) if one is not None]
        return next((one for one in fitting if one.is_floating_point()), fitting[0] if fitting else None)

    def _samples_first(self, tensor: Any) -> Tensor | None:
        dense = isinstance(tensor, Tensor) and tensor.layout == torch.strided and not tensor.is_nested
        if not dense or tensor.ndim < 1:
            return None
        dim = self.batch_dim if self.batch_dim < tensor.ndim else 0
        if tensor.shape[dim] != self.n:
            return None
        return tensor.movedim(dim, 0) if dim else tensor

    def with_labels(self, labels: Tensor | None) -> "Batch":
        return self if labels is None or self.labels is not None else replace(self, labels=labels)


def split(batch: Any, index: int, batch_dim: int = 0, opaque: bool = False) -> Batch:
    """Find a batch's inputs, labels and masks, and count its samples.

    The input is a tensor, a mapping, a packed sequence, a list of images (c, h, w), or the first element of a tuple or
    list, whose second one may be class labels. An `opaque` batch is the user's own function's business.

    Raises:
        TypeError: there is nothing in it whose samples could be counted.
    """
    inputs = batch
    if _is_sequence(batch) and batch and not (len(batch) >= FEWEST_IMAGES and is_images(batch)):
        inputs = batch[0]
    if isinstance(inputs, Mapping) or _is_fields(inputs):
        inputs = as_mapping(inputs)
    n = count_samples(inputs, batch_dim)
    if n is None and opaque:
        n = next((found for one in tensors_in(batch) if (found := count_samples(one, batch_dim)) is not None), None)
    if n is None:
        raise TypeError(
            f"batch {index} is {what(batch)}: the loader must give tensors (n, ...), mappings of them, "
            "lists of images (c, h, w), or tuples (input, ...) whose first element is one of these; give "
            "inputs= to make such a batch of yours"
        )
    return Batch(n, batch, inputs, batch_dim, labels_in(batch, n), masks_in(inputs, n, index))


def count_samples(inputs: Any, batch_dim: int = 0) -> int | None:
    """The number of samples of an input; None where that cannot be told."""
    if isinstance(inputs, PackedSequence):
        return int(inputs.batch_sizes[0])
    if isinstance(inputs, Tensor):
        # nested tensors have no shape, but a size
        return inputs.size(batch_dim if batch_dim < inputs.ndim else 0) if inputs.ndim else None
    if _is_sequence(inputs) and is_images(inputs):
        return len(inputs)
    if isinstance(inputs, Mapping):
        inputs = [value for key, value in inputs.items() if key not in LABELS]
    elif not _is_sequence(inputs):
        return None
    return next((n for one in inputs if (n := count_samples(one, batch_dim)) is not None), None)


def is_images(value: Any) -> bool:
    """Whether this is a list of single images (c, h, w), one a sample, as detection models take them."""
    return bool(value) and all(
        isinstance(one, Tensor) and one.ndim == 3 and one.shape[0] in (1, 3) and min(one.shape[1:]) >= SMALLEST_IMAGE
        for one in value
    )


def as_mapping(value: Any) -> dict[str, Any]:
    """The entries of a mapping or the fields of a dataclass."""
    if isinstance(value, Mapping):
        return dict(value.items())
    return {one.name: getattr(value, one.name) for one in fields(value)}


def moved(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with every tensor changed; of the same types, so that attributes still work."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, PackedSequence):
        # the sizes of the batches stay on the CPU, where recurrent layers want them
        parts = {name: part for name, part in value._asdict().items() if name != "batch_sizes" and part is not None}
        return value._replace(**{name: change(part) for name, part in parts.items()})
    if isinstance(value, Mapping):
        made = {key: moved(part, change) for key, part in value.items()}
        if type(value) is dict or not isinstance(value, MutableMapping):
            return made
        other: Any = copy.copy(value)
        for key, part in made.items():
            other[key] = part
        return other
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(part, change) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(moved(part, change) for part in value)
    if _is_fields(value):
        other = copy.copy(value)
        for one in fields(value):
            object.__setattr__(other, one.name, moved(getattr(value, one.name), change))
        return other
    return value


def _is_sequence(value: Any) -> bool:
    return isinstance(value, tuple | list) and not isinstance(value, PackedSequence)


def _is_fields(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def what(batch: Any) -> str:
    """How a message calls a batch that is of no use."""
    if isinstance(batch, Mapping):
        return f"a mapping without tensors, with keys {list(batch)[:8]}"
    if _is_sequence(batch):
        return f"{a_kind(batch)} of {', '.join(type(one).__name__ for one in batch[:4]) or 'nothing'}"
    if isinstance(batch, Tensor):
        return "a tensor without dimensions"
    return a_kind(batch)


def labels_in(batch: Any, n: int) -> Tensor | None:
    """The integer class labels (n,) of a batch's samples: the second of a pair, or a mapping's."""
    found = [batch[1]] if _is_sequence(batch) and len(batch) > 1 else []
    first = batch[0] if _is_sequence(batch) and batch else batch
    if isinstance(first, Mapping) or _is_fields(first):
        entries = as_mapping(first)
        found = [entries[key] for key in LABELS if key in entries][:1] + found
    for labels in found:
        integer = isinstance(labels, Tensor) and not labels.is_floating_point() and not labels.is_complex()
        if integer and labels.shape == (n,):
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
        raise TypeError(f"loader is {a_kind(loader)}: pass an iterable of batches, such as a DataLoader or a list")
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
