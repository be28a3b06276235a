"""`find_output`: finds the tensor (n, ...) to compare in a layer's output, whatever the type of the output."""

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from simwidget.data.nested import tensors_in


class RepresentationError(ValueError):
    """Raised if a layer's output cannot be turned into a representation. The layer is not compared.

    The message gives the reason and says what the user can do.
    """


class Output(NamedTuple):
    """The result of `find_output`: the tensor to compare, and facts about this tensor."""

    tensor: Tensor
    """the tensor (n, ...), floating-point and dense

    Exception: if the layer returned no such tensor and representation= is a callable, this is everything that the
    layer returned.
    """
    batch_dim: int = 0
    """the dimension of the layer's output that indexes the samples; in `tensor` this is dimension 0"""
    lengths: Tensor | None = None
    """(n,) the length of each sequence without padding, if the layer returned a packed sequence; otherwise None"""
    source: Any = None
    """the tensor or packed sequence as the layer returned it"""
    complex: bool = False
    """whether the output is complex; if so, the last dimension of `tensor` has size 2, for real and imaginary part"""


class RepeatDetector:
    """Detects whether a layer returns the tensor object that the previous layer returned, with no write in between.

    Only a weak reference to the tensor is kept. Writes are detected by the tensor's version counter. Inference tensors
    have no version counter and never count as repeated.
    """

    def __init__(self) -> None:
        self._previous: tuple[weakref.ref, int] | None = None

    def is_repeat(self, tensor: Any) -> bool:
        """Whether `tensor` was also passed to the previous call of this method, and was not written into since then."""
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
    """Find the tensor to compare: the first tensor in a layer's output that has size n in one of the dimensions `dims`.

    The result is an `Output`. Only dense floating-point or complex tensors count. Tuples, lists, mappings and
    dataclasses (including `ModelOutput`s) are searched depth first. For each tensor, the dimensions `dims` are tried in
    order; the first dimension of size n becomes dimension 0. Packed sequences are padded, and quantised tensors are
    dequantised. A complex tensor is turned into a real tensor with an additional last dimension of size 2, for real and
    imaginary parts. Therefore the inner product of two samples is the real part of their complex inner product.

    Args:
        output: what the layer returned.
        n: the number of samples of the batch.
        dims: the dimensions that may hold the samples.
        dims_given: whether the user specified `dims`. If not, dimensions other than dimension 0 are tried only in
            tensors with three dimensions (steps, n, features), so that n features are not mistaken for n samples.

    Raises:
        RepresentationError: no tensor in the output is suitable; the message describes the tensors in the output.

    >>> find_output((None, {"hidden": torch.zeros(7, 4, 3)}), 4).tensor.shape
    torch.Size([4, 7, 3])
    """
    if type(output) is Tensor and dims[0] == 0 and _is_plain(output, n):  # the most frequent case, without a search
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
    """Whether a tensor is dense and floating-point, with n samples in dimension 0."""
    dense = tensor.layout == torch.strided and not tensor.is_nested
    return dense and tensor.is_floating_point() and tensor.ndim > 0 and tensor.shape[0] == n


def keeps_shape(found: Output, inputs: Any) -> bool:
    """Whether the tensor found in a layer's output has the shape of the layer's first input tensor.

    The shape is that of the tensor as the layer returned it, before the samples were moved to dimension 0.
    """
    first = next(tensors_in(inputs), None)
    return isinstance(first, Tensor) and isinstance(found.source, Tensor) and first.shape == found.source.shape


def _reason_for_no_output(output: Any, n: int, dims: Sequence[int], seen: Sequence[str]) -> str:
    """Return the error message for an output in which `find_output` found no tensor to compare.

    `seen` describes each tensor in the output, such as "float32 (2, 3)".
    """
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
        return f"its output ({what}) is one and the same for all {n} samples: there is nothing to compare"
    searched = (0,) if tuple(dims) == (0, 1) else dims
    where = f"in dimension {' or '.join(map(str, searched))}"
    return (
        f"its output ({what}) has no floating tensor with the batch's {n} samples {where}: pass batch_dim= if the "
        "samples are in another dimension, or representation= a callable for this layer"
    )


def describe_type(tensor: Tensor) -> str:
    """Return the layout and dtype of a tensor, for messages: "float32", "sparse_coo float32", "nested float32"."""
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_nested:
        return f"nested {name}"
    if tensor.layout != torch.strided:
        return f"{str(tensor.layout).removeprefix('torch.')} {name}"
    return name


def _shape(tensor: Tensor) -> tuple:
    return ("?",) * tensor.ndim if tensor.is_nested else tuple(tensor.shape)
