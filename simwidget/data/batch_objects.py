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
    """Whether `value` is an object that can be moved to a device, or holds tensors as attributes, but is no container.

    Tensors, mappings, tuples, lists, dataclasses and networks are no batch objects.
    """
    known = isinstance(value, Tensor | Mapping | tuple | list | nn.Module | type) or is_dataclass_instance(value)
    return not known and (callable(getattr(value, "to", None)) or any(True for _ in tensors_in(attributes(value))))


def attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an object by name; an empty dict if the object has no attributes of its own."""
    return dict(getattr(value, "__dict__", {}))


def count_of_object(value: Any) -> int | None:
    """Return the number of samples of a batch object, which is its attribute `num_graphs` or `batch_size`.

    None if the object has neither, or if both are there and differ.
    """
    found = {count for name in COUNTS if isinstance(count := attribute(value, name), int)}
    return found.pop() if len(found) == 1 else None


def attribute(value: Any, name: str) -> Any:
    """Return an attribute of a batch object; None if the object cannot give it."""
    try:
        return getattr(value, name, None)
    except Exception:  # a property of the user's class
        return None


def copy_to(value: Any, device: torch.device) -> Any:
    """Return a copy of a batch object on `device`, made by the method `to` of the object if it has one.

    The copy shares no tensor with the object, because a network may write into its inputs.

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
