"""What a layer returns -> the one tensor that is compared, its samples first."""

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from simwidget.data.nested import tensors_in


class RepresentationError(ValueError):
    """An output that gives this layer no numbers; the text says why and what to do."""


class Output(NamedTuple):
    """The tensor of a layer that is compared."""

    tensor: Tensor
    """(n, ...), floating, dense"""
    batch_dim: int = 0
    """where the samples lay in what the layer returned"""
    lengths: Tensor | None = None
    """(n,) for a packed sequence: how many of the tensor's steps are real"""
    source: Any = None
    """the tensor as the layer returned it"""
    complex: bool = False
    """whether the last dimension holds the real and the imaginary part of what the layer returned"""


class RepeatDetector:
    """Tells whether a tensor is the very one that was shown before, unwritten since, without keeping it.

    The version counter that proves this exists under `no_grad`, not under `inference_mode`.
    """

    def __init__(self) -> None:
        self._previous: tuple[weakref.ref, int] | None = None

    def is_repeat(self, tensor: Any) -> bool:
        if not isinstance(tensor, Tensor) or tensor.is_inference():
            self._previous = None
            return False
        previous = self._previous
        self._previous = (weakref.ref(tensor), tensor._version)
        if previous is None:
            return False
        now = tensor._version
        return previous[0]() is tensor and previous[1] == now


def find_output(output: Any, n: int, dims: Sequence[int] = (0, 1), dims_given: bool = False) -> Output:
    """The first dense floating tensor in a layer's output in which one of `dims` holds the batch's n samples.

    Tensors are looked for in tuples, lists, mappings and dataclasses (so in `ModelOutput`s too), depth first, and the
    dimensions are tried in order; the one found is moved to the front. Unless `dims_given`, a
    dimension other than the first counts only in tensors (steps, n, features), where sequences have it: elsewhere n
    features would be taken for n samples. Packed sequences are padded, quantised tensors dequantised, and complex ones
    become their real and imaginary parts, whose inner products are the real parts of the complex ones.

    Raises:
        RepresentationError: there is no such tensor; the text lists what there is.

    >>> find_output((None, {"hidden": torch.zeros(7, 4, 3)}), 4).tensor.shape
    torch.Size([4, 7, 3])
    """
    if type(output) is Tensor and dims[0] == 0 and _is_plain(output, n):  # nearly always, and at once
        return Output(output, source=output)
    seen = []
    for part in tensors_in(output):
        lengths, tensor = None, part
        if isinstance(part, PackedSequence):
            tensor, lengths = pad_packed_sequence(part, batch_first=True)
        if tensor.layout == torch._mkldnn:  # type: ignore[attr-defined]
            tensor = tensor.to_dense()
        kind = describe_type(tensor)
        seen.append(f"{kind} {_shape(tensor)}")
        if kind.startswith(("sparse", "nested")):
            continue
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if not tensor.is_floating_point() and not tensor.is_complex():
            continue
        for dim in (0,) if lengths is not None else dims:
            if dim < tensor.ndim and tensor.shape[dim] == n and (dims_given or dim == 0 or tensor.ndim == 3):
                found = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
                return Output(found.movedim(dim, 0) if dim else found, dim, lengths, part, tensor.is_complex())
    raise RepresentationError(_reason_for_no_output(output, n, dims, seen))


def _is_plain(tensor: Tensor, n: int) -> bool:
    """Whether a tensor is dense, floating and has n samples first."""
    dense = tensor.layout == torch.strided and not tensor.is_nested
    return dense and tensor.is_floating_point() and tensor.ndim > 0 and tensor.shape[0] == n


def keeps_shape(found: Output, inputs: Any) -> bool:
    """Whether a layer gave what has the shape of its first input."""
    first = next(tensors_in(inputs), None)
    return isinstance(first, Tensor) and isinstance(found.source, Tensor) and first.shape == found.source.shape


def _reason_for_no_output(output: Any, n: int, dims: Sequence[int], seen: Sequence[str]) -> str:
    what = ", ".join(seen[:4]) + (", ..." if len(seen) > 4 else "")
    if output is None:
        return "its output (None) has no tensor: choose other layers with layers="
    if not seen:
        return (
            f"its output ({type(output).__name__} without tensors) has no tensor: choose other layers with layers=, or "
            "give representation= a callable for this layer"
        )
    if all(one.startswith(("sparse", "nested")) for one in seen):
        return (
            f"its output ({what}) is not dense: give representation= a callable for this layer that makes it a dense "
            f"({n}, ...) tensor"
        )
    if n > 1 and len(seen) == 1 and "(1, " in seen[0]:
        return f"its output ({what}) is one for all {n} samples: there is nothing to compare in it"
    where = "first" if tuple(dims) in ((0,), (0, 1)) else f"in dimension {' or '.join(map(str, dims))}"
    return (
        f"its output ({what}) has no floating tensor with the batch's {n} samples {where}: give batch_dim= where "
        "they are elsewhere, or representation= a callable for this layer"
    )


def describe_type(tensor: Tensor) -> str:
    """How a message calls a tensor's type: "float32", "sparse_coo float32", "nested float32"."""
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_nested:
        return f"nested {name}"
    if tensor.layout != torch.strided:
        return f"{str(tensor.layout).removeprefix('torch.')} {name}"
    return name


def _shape(tensor: Tensor) -> tuple:
    return ("?",) * tensor.ndim if tensor.is_nested else tuple(tensor.shape)
