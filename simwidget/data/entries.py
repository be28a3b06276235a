"""`entries_of`: names each tensor in a batch, or in a layer's output, by the Python expression that gives it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from simwidget.data.batch import Batch
from simwidget.data.labels import LABEL_KEYS
from simwidget.data.nested import is_dataclass_instance, is_sequence

NAMES_OF_POSITIONS = ("position_ids", "token_type_ids", "segment_ids")
"""The endings of keys whose tensors hold the positions or the segments of tokens, not inputs of their own."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One tensor or packed sequence of a nested structure."""

    path: str
    """the Python expression that gives the tensor, such as batch['image'] or batch[1]"""
    name: str
    """the last key or field name on the path; "" for an element of a tuple or list"""
    tensor: Any
    """the tensor or packed sequence"""


def entries_of(value: Any, path: str, name: str = "") -> Iterator[Entry]:
    """Yield each tensor and packed sequence of a nested structure, in the order of `tensors_in`.

    Args:
        value: nested tuples, lists, mappings and dataclasses.
        path: the Python expression for `value`.
        name: the key or field name of `value`; "" if it has none.

    >>> import torch
    >>> [entry.path for entry in entries_of({"image": torch.zeros(2), "texts": [torch.zeros(2)]}, "batch")]
    ["batch['image']", "batch['texts'][0]"]
    """
    if isinstance(value, Tensor | PackedSequence):
        yield Entry(path, name, value)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from entries_of(part, f"{path}[{key!r}]", str(key))
    elif is_sequence(value):
        for index, part in enumerate(value):
            yield from entries_of(part, f"{path}[{index}]")
    elif is_dataclass_instance(value):
        for field in fields(value):
            yield from entries_of(getattr(value, field.name, None), f"{path}.{field.name}", field.name)


def is_input_name(name: str) -> bool:
    """Whether a key or parameter with this name may hold an input.

    The result is False for the names of labels, masks, position ids and token type ids.

    >>> [is_input_name(name) for name in ("pixel_values", "masked_image", "attention_mask", "position_ids", "labels")]
    [True, True, False, False, False]
    """
    return name not in LABEL_KEYS and "mask" not in name.split("_") and not name.endswith(NAMES_OF_POSITIONS)


def has_samples(tensor: Any, batch: Batch) -> bool:
    """Whether a tensor is dense and not boolean, and has one entry for each sample of a batch."""
    return batch.samples_first(tensor) is not None and tensor.dtype != torch.bool


def may_be_input(entry: Entry, batch: Batch) -> bool:
    """Whether an entry of a batch may be an input: a tensor with n samples that is neither a mask nor a label.

    Boolean tensors count as masks. Integers (n,) in a tuple or list count as labels. The names of masks, labels,
    position ids and token type ids are excluded by `is_input_name`.
    """
    tensor = entry.tensor
    if not is_input_name(entry.name) or tensor is batch.labels or not has_samples(tensor, batch):
        return False
    return bool(entry.name or tensor.ndim > 1 or tensor.is_floating_point())
