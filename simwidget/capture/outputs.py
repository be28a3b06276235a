"""`find_output`: picks the tensor (n, ...) that is compared from whatever a layer returns."""

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from simwidget.data.nested import tensors_in


class RepresentationError(ValueError):
    """A layer's output has no representation, so the layer is not compared; the message says why and what to do."""


class Output(NamedTuple):
    """The tensor that is compared, found in what a layer returned."""

    tensor: Tensor
    """(n, ...), floating-point, dense"""
    batch_dim: int = 0
    """the dimension of the samples in what the layer returned"""
    lengths: Tensor | None = None
    """(n,) for a packed sequence: the length of each sample; later steps of the tensor are padding"""
    source: Any = None
    """the tensor as the layer returned it"""
    complex: bool = False
    """whether the output is complex; the last dimension of `tensor` then holds the real and the imaginary part"""


class RepeatDetector:
    """Detects that a layer returns the same tensor object as the layer before it, not written into in between.

    Only a weak reference to the tensor is kept. Writes are detected by the tensor's version counter, which inference
    tensors do not have: they never count as repeated.
    """

    def __init__(self) -> None:
        self._previous: tuple[weakref.ref, int] | None = None

    def is_repeat(self, tensor: Any) -> bool:
        """Whether `tensor` is the tensor of the previous call of this method, unchanged."""
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
    """The first dense floating-point or complex tensor in a layer's output with the batch's n samples in one of `dims`.

    Tuples, lists, mappings and dataclasses (also `ModelOutput`s) are searched depth first. The dimensions are tried in
    order, and the one of size n is moved to the front. Packed sequences are padded and quantised tensors dequantised.
    Complex tensors become their real and imaginary parts, whose inner products are the real parts of the complex ones.

    Args:
        output: what the layer returned.
        n: the number of samples of the batch.
        dims: the dimensions that may hold the samples.
        dims_given: the user specified `dims`. Otherwise a dimension other than the first counts only in tensors with
            three dimensions (steps, n, features), so that n features are not mistaken for n samples.

    Raises:
        RepresentationError: there is no such tensor; the message lists the tensors that were found.

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
    """Whether a layer's output has the shape of its first input tensor."""
    first = next(tensors_in(inputs), None)
    return isinstance(first, Tensor) and isinstance(found.source, Tensor) and first.shape == found.source.shape


def _reason_for_no_output(output: Any, n: int, dims: Sequence[int], seen: Sequence[str]) -> str:
    """Why `find_output` found nothing; `seen` describes the tensors in the output."""
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
        return f"its output ({what}) is a single one for all {n} samples: there is nothing to compare"
    where = "first" if tuple(dims) in ((0,), (0, 1)) else f"in dimension {' or '.join(map(str, dims))}"
    return (
        f"its output ({what}) has no floating tensor with the batch's {n} samples {where}: give batch_dim= where "
        "they are elsewhere, or representation= a callable for this layer"
    )


def describe_type(tensor: Tensor) -> str:
    """The layout and dtype of a tensor, for messages: "float32", "sparse_coo float32", "nested float32"."""
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_nested:
        return f"nested {name}"
    if tensor.layout != torch.strided:
        return f"{str(tensor.layout).removeprefix('torch.')} {name}"
    return name


def _shape(tensor: Tensor) -> tuple:
    return ("?",) * tensor.ndim if tensor.is_nested else tuple(tensor.shape)
