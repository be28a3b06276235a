"""Finds the class labels of a batch."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from simwidget.data.batch_objects import attribute, is_batch_object
from simwidget.data.nested import as_mapping, is_dataclass_instance, is_sequence

LABEL_KEYS = ("labels", "label", "targets", "target", "y")
"""Keys under which a mapping may hold class labels, in order of preference."""


def find_labels(batch: Any, n: int) -> Tensor | None:
    """Return the integer class labels (n,) of a batch of n samples; None if the batch has no class labels.

    The labels are the first integer tensor (n,) among these candidates:

    1. If the batch is a mapping or a dataclass: its entry under the first key of `LABEL_KEYS` that it has. If the batch
       is a batch object (see `is_batch_object`): its attribute with the first name in `LABEL_KEYS` that it has. If the
       batch is a tuple or list, the same applies to its first element.
    2. If the batch is a tuple or list: its second element.
    """
    found = [batch[1]] if is_sequence(batch) and len(batch) > 1 else []
    first = batch[0] if is_sequence(batch) and batch else batch
    if isinstance(first, Mapping) or is_dataclass_instance(first):
        entries = as_mapping(first)
        found = [entries[key] for key in LABEL_KEYS if key in entries][:1] + found
    elif is_batch_object(first):
        found = [labels for key in LABEL_KEYS if (labels := attribute(first, key)) is not None][:1] + found
    return next((labels for labels in found if is_class_labels(labels, n)), None)


def is_class_labels(value: Any, n: int) -> bool:
    """Whether `value` may be the class labels of n samples: an integer tensor (n,)."""
    integer = isinstance(value, Tensor) and not value.is_floating_point() and not value.is_complex()
    return integer and not value.is_nested and value.shape == (n,)
