"""Functions that iterate over, or replace, the tensors in nested tuples, lists, mappings and dataclasses."""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def tensors_in(value: Any) -> Iterator[Any]:
    """Yield the tensors and packed sequences in nested tuples, lists, mappings and dataclasses, depth first."""
    if isinstance(value, Tensor | PackedSequence):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors_in(getattr(value, field.name, None))


def as_mapping(value: Any) -> dict[str, Any]:
    """Return a dict with the entries of a mapping, or with the fields of a dataclass instance by name."""
    if isinstance(value, Mapping):
        return dict(value.items())
    return {one.name: getattr(value, one.name) for one in fields(value)}


def flat_entries(mapping: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the entries of a mapping, in which each nested mapping or dataclass is replaced by its own entries.

    >>> flat_entries({"query": {"ids": 1, "mask": 2}, "n": 3})
    {'query.ids': 1, 'query.mask': 2, 'n': 3}
    """
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping) or is_dataclass_instance(value):
            found |= flat_entries(as_mapping(value), f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def map_tensors(
    value: Any, function: Callable[[Tensor], Tensor], convert: Callable[[Any], Any] = lambda other: other
) -> Any:
    """Return a copy of a nested structure in which `function(tensor)` replaces every tensor.

    Containers keep their types, so that access by attribute (`batch.input_ids`) still works. The exception is an
    immutable mapping, which becomes a dict. In a packed sequence, all tensors except `batch_sizes` are replaced. A
    value that is neither a tensor nor a container is replaced by `convert(value)`, by default the value itself.
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, PackedSequence):
        # batch_sizes stays as it is, because recurrent layers need it on the CPU
        parts = {name: part for name, part in value._asdict().items() if name != "batch_sizes" and part is not None}
        return value._replace(**{name: function(part) for name, part in parts.items()})
    if isinstance(value, Mapping):
        mapped = {key: map_tensors(part, function, convert) for key, part in value.items()}
        if type(value) is dict or not isinstance(value, MutableMapping):
            return mapped
        copied: Any = copy.copy(value)
        for key, part in mapped.items():
            copied[key] = part
        return copied
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(part, function, convert) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(map_tensors(part, function, convert) for part in value)
    if is_dataclass_instance(value):
        copied = copy.copy(value)
        for one in fields(value):
            object.__setattr__(copied, one.name, map_tensors(getattr(value, one.name), function, convert))
        return copied
    return convert(value)


def is_sequence(value: Any) -> bool:
    """Whether `value` is a tuple or list. False for a `PackedSequence`, which counts as one tensor."""
    return isinstance(value, tuple | list) and not isinstance(value, PackedSequence)


def is_dataclass_instance(value: Any) -> bool:
    """Whether `value` is an instance of a dataclass; False for the dataclass itself."""
    return is_dataclass(value) and not isinstance(value, type)
