"""What the loader gives: a batch's input and labels, and the order in which its samples come."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from simwidget.data.masks import NO_MASKS, PADDING, REAL, Masks, masks_in
from simwidget.data.nested import as_mapping, is_fields, is_sequence, tensors_in
from simwidget.data.uploads import Uploads
from simwidget.text.printable import describe_type

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
        images = is_sequence(inputs) and is_images(inputs)
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
    if is_sequence(batch) and batch and not (len(batch) >= FEWEST_IMAGES and is_images(batch)):
        inputs = batch[0]
    if isinstance(inputs, Mapping) or is_fields(inputs):
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
    if is_sequence(inputs) and is_images(inputs):
        return len(inputs)
    if isinstance(inputs, Mapping):
        inputs = [value for key, value in inputs.items() if key not in LABELS]
    elif not is_sequence(inputs):
        return None
    return next((n for one in inputs if (n := count_samples(one, batch_dim)) is not None), None)


def is_images(value: Any) -> bool:
    """Whether this is a list of single images (c, h, w), one a sample, as detection models take them."""
    return bool(value) and all(
        isinstance(one, Tensor) and one.ndim == 3 and one.shape[0] in (1, 3) and min(one.shape[1:]) >= SMALLEST_IMAGE
        for one in value
    )


def what(batch: Any) -> str:
    """How a message calls a batch that is of no use."""
    if isinstance(batch, Mapping):
        return f"a mapping without tensors, with keys {list(batch)[:8]}"
    if is_sequence(batch):
        return f"{describe_type(batch)} of {', '.join(type(one).__name__ for one in batch[:4]) or 'nothing'}"
    if isinstance(batch, Tensor):
        return "a tensor without dimensions"
    return describe_type(batch)


def labels_in(batch: Any, n: int) -> Tensor | None:
    """The integer class labels (n,) of a batch's samples: the second of a pair, or a mapping's."""
    found = [batch[1]] if is_sequence(batch) and len(batch) > 1 else []
    first = batch[0] if is_sequence(batch) and batch else batch
    if isinstance(first, Mapping) or is_fields(first):
        entries = as_mapping(first)
        found = [entries[key] for key in LABELS if key in entries][:1] + found
    for labels in found:
        integer = isinstance(labels, Tensor) and not labels.is_floating_point() and not labels.is_complex()
        if integer and labels.shape == (n,):
            return labels
    return None
