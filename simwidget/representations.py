"""A layer's output -> its representation (n, p)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal

from torch import Tensor

Representation = Literal["flatten"] | Callable[[Tensor], Tensor]


class RepresentationError(ValueError):
    """An output that holds no tensor to compare; the text says what it holds instead."""


def find_output(output: Any, n: int) -> Tensor:
    """The first floating tensor in a layer's output whose first dimension is the batch of n samples.

    Tensors are looked for in tuples, lists, mappings and dataclasses (so in `ModelOutput`s too), depth first.
    """
    shapes = []
    for tensor in _tensors(output):
        if tensor.is_floating_point() and tensor.ndim >= 1 and tensor.shape[0] == n:
            return tensor
        shapes.append(f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}")
    what = ", ".join(shapes) if shapes else f"{type(output).__name__} without tensors"
    raise RepresentationError(f"its output ({what}) has no floating tensor with the batch's {n} samples first")


def represent(tensor: Tensor, representation: Representation, n: int) -> Tensor:
    """The representation (n, p) of one output tensor."""
    if callable(representation):
        tensor = representation(tensor)
        if not isinstance(tensor, Tensor) or tensor.ndim < 1 or tensor.shape[0] != n:
            found = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(f"representation= returned {found}; it must return a tensor ({n}, ...), one row a sample")
    return flatten(tensor)


def flatten(tensor: Tensor) -> Tensor:
    """(n, ...) -> (n, p), without a copy where the memory allows one.

    The order of the features does not enter a Gram matrix, so they are taken as they lie (channels last, say).
    """
    if tensor.ndim == 1:
        return tensor[:, None]
    order = sorted(range(1, tensor.ndim), key=lambda d: tensor.stride(d), reverse=True)
    return tensor.permute(0, *order).flatten(1)


def check_representation(representation: object) -> Representation:
    if representation == "flatten" or callable(representation):
        return representation  # type: ignore[return-value]
    raise ValueError(
        f'representation={representation!r}: choose "flatten" or a callable from a layer\'s output (n, ...) to (n, p)'
    )


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, tuple | list):
        for value in output:
            yield from _tensors(value)
    elif is_dataclass(output):
        for field in fields(output):
            yield from _tensors(getattr(output, field.name))
