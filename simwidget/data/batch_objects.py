"""Functions for batch objects: objects that hold tensors as attributes, such as a batch of graphs."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from simwidget.data.nested import is_dataclass_instance, tensors_in
from simwidget.text.printable import describe_type

COUNTS = ("num_graphs", "batch_size")
"""Attributes that may hold the number of samples of a batch object."""


def is_batch_object(value: Any) -> bool:
    """Whether `value` is a batch object: an object that has a method `to`, or holds tensors as attributes.

    Tensors, mappings, tuples, lists, dataclasses, networks and classes are not batch objects.
    """
    known = isinstance(value, Tensor | Mapping | tuple | list | nn.Module | type) or is_dataclass_instance(value)
    return not known and (callable(getattr(value, "to", None)) or any(True for _ in tensors_in(attributes(value))))


def attributes(value: Any) -> dict[str, Any]:
    """Return the attributes that are stored in an object, by name; an empty dict if the object stores none."""
    return dict(getattr(value, "__dict__", {}))


def count_of_object(value: Any) -> int | None:
    """Return the number of samples of a batch object, from its attribute `num_graphs` or `batch_size`.

    Return None if neither attribute is an integer, or if both attributes are integers and differ.
    """
    found = {count for name in COUNTS if isinstance(count := attribute(value, name), int)}
    return found.pop() if len(found) == 1 else None


def attribute(value: Any, name: str) -> Any:
    """Return an attribute of a batch object; None if the object lacks the attribute, or if reading it fails."""
    try:
        return getattr(value, name, None)
    except Exception:  # the attribute may be a property of the user's class
        return None


def copy_to(value: Any, device: torch.device) -> Any:
    """Return a copy of a batch object, moved to `device` by the method `to` of the copy.

    A copy without this method is not moved. The copy shares no tensor with the object, because a network may write into
    its inputs.

    Raises:
        TypeError: the object cannot be copied.
    """
    try:
        copied = copy.deepcopy(value)
    except Exception as problem:
        raise TypeError(
            f"the batch is {describe_type(value)}, which cannot be copied ({problem}): pass inputs= a function from "
            "the batch to a tensor or mapping"
        ) from problem
    return copied.to(device) if callable(getattr(copied, "to", None)) else copied
