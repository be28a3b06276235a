"""`find_output`: finds the tensor (n, ...) to compare in a layer's output, whatever the type of the output."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from simwidget.capture.probe import ProbedOutput
from simwidget.capture.tokens import TokenDims, token_dims_from_json
from simwidget.data.nested import tensors_in

MAX_DIMS = 64
"""The largest number of dimensions of a tensor in PyTorch."""


class RepresentationError(ValueError):
    """Raised if a layer's output cannot be turned into a representation. The layer is not compared.

    The message gives the reason and says what the user can do.
    """


class OtherTensorsError(RepresentationError):
    """Raised if an output has another number of tensors than in an earlier batch."""


class UnclearFeaturesError(RepresentationError):
    """Raised if it is unclear which dimension of an output (n, p, p) holds the tokens and which holds the features."""


class Output(NamedTuple):
    """The result of `find_output`: the tensor to compare, and facts about this tensor."""

    tensor: Tensor
    """the tensor (n, ...), floating-point and dense

    Exception: if `find_output` found no such tensor and representation= is a callable, this is everything that the
    layer returned.
    """
    batch_dim: int = 0
    """the dimension that indexes the samples in the layer's output; in `tensor`, dimension 0 indexes the samples"""
    lengths: Tensor | None = None
    """(n,) if the layer returned a packed sequence, the length of each sequence without padding; otherwise None"""
    source: Any = None
    """the tensor or packed sequence that the layer returned, unchanged"""
    complex: bool = False
    """whether the output is complex; if so, the last dimension of `tensor` has size 2, for real and imaginary part"""
    layout: "Layout | None" = None
    """where the samples were found; None if a callable representation= gets everything that the layer returned"""
    is_unclear: bool = False
    """whether another dimension may hold the samples, so that a probing pass is needed"""


class Layout(NamedTuple):
    """Where a layer's output contains the samples of a batch."""

    place: int
    """the index of the tensor that contains the samples, among the tensors of the output"""
    dim: int
    """the dimension that indexes the samples in this tensor"""
    flattened: bool | None = None
    """the order of the entries in dimension 0 of a tensor (n * tokens, ...); None for other tensors

    True: all tokens of sample 0, then all tokens of sample 1, and so on.
    False: token 0 of all samples, then token 1 of all samples, and so on.
    """
    tokens: TokenDims | None = None
    """for each dimension of the output (n, ...) except the first: the mask whose tokens the dimension holds, if any

    None if this is not known, because no pass over shorter sequences (see `TokenProbe`) was needed or possible.
    """
    axis: int | None = None
    """the dimension of the output (n, ...) that holds the features; None if the representation does not need it"""
    n_tensors: int = 1
    """the number of tensors of the output"""

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> "Layout":
        """Return the layout with the fields `values`, read from a checkpoint; raise ValueError if they are invalid."""
        place, dim, flattened, tokens, axis, n_tensors = values
        are_sizes = (
            type(place) is type(dim) is type(n_tensors) is int and 0 <= place < n_tensors and 0 <= dim < MAX_DIMS
        )
        are_sizes = are_sizes and (axis is None or (type(axis) is int and 0 < axis < MAX_DIMS))
        if not are_sizes or not (flattened is None or type(flattened) is bool):
            raise ValueError("a layer's output has no such layout")
        return cls(place, dim, flattened, token_dims_from_json(tokens), axis, n_tensors)


class Evidence(NamedTuple):
    """What helps to find the samples in a layer's output, apart from the shape of the output."""

    known: Layout | None = None
    """where the samples were found in an earlier batch; None if unknown"""
    probed: ProbedOutput | None = None
    """the layer's output in a probing pass over some samples of this batch; None if there is none"""
    lengths: Collection[int] = ()
    """the numbers of tokens per sample that occur in the inputs and in other outputs of this batch"""
    channels_first: bool = False
    """whether the layer has convolutions or other modules whose input is (n, channels, ...)"""


NO_EVIDENCE = Evidence()


class UnclearError(RepresentationError):
    """Raised if only a probing pass can tell whether, and where, an output contains the n samples."""


def find_output(
    output: Any,
    n: int,
    dims: Sequence[int] = (0, 1),
    dims_given: bool = False,
    evidence: Evidence = NO_EVIDENCE,
) -> Output:
    """Find the tensor to compare: the first tensor in a layer's output that has an entry for each of n samples.

    Tuples, lists, mappings and dataclasses (such as `ModelOutput`) are searched depth first. Sparse and nested tensors
    are skipped. An integer or boolean tensor is chosen only if no floating-point or complex tensor has n samples.

    The tensor is converted: The dimension that indexes the samples is moved to the front. Packed sequences are padded,
    and quantised tensors are dequantised. Integers and booleans become floating-point numbers. A complex tensor gets a
    last dimension of size 2 for the real and imaginary parts. The inner product of two samples is then the real part
    of their complex inner product.

    The dimension that indexes the samples is determined as follows:

    1. If the samples were found in an earlier batch: the same dimension of the same tensor.
    2. Otherwise, after a probing pass over fewer samples: the dimension that became smaller in this pass. This rule is
       skipped if the user specified `dims`.
    3. Otherwise: the first dimension among `dims` that has n entries.

    A tensor (n * tokens, ...) becomes (n, tokens, ...) under two conditions: a probing pass has shown the order of the
    entries, and other tensors of the batch have the same number of tokens per sample.

    Args:
        output: what the layer returned.
        n: the number of samples of the batch.
        dims: the dimensions that may hold the samples.
        dims_given: whether the user specified `dims`. If not, dimensions other than dimension 0 are tried only in
            tensors with three dimensions (steps, n, features), so that n features are not mistaken for n samples.
        evidence: what helps to find the samples, apart from the shape of the output.

    Raises:
        UnclearError: only a probing pass can tell whether a tensor contains the n samples.
        RepresentationError: no tensor contains the n samples; the message lists the tensors in the output.

    >>> find_output((None, {"hidden": torch.zeros(7, 4, 3)}), 4).tensor.shape
    torch.Size([4, 7, 3])
    """
    known = evidence.known
    may_be_first = dims[0] == 0 if known is None else (known[:3] == FIRST[:3] and known.n_tensors == 1)
    if type(output) is Tensor and may_be_first and _is_plain(output, n):
        is_clear = known is not None or dims_given or not _is_unclear(output, n, 0, dims, evidence)
        if is_clear:  # the most frequent case, without a search
            return Output(output, source=output, layout=FIRST)
    search = _Search(n, dims, dims_given, evidence)
    for place, part in enumerate(tensors_in(output)):
        search.look_at(place, part)
    n_tensors = len(search.seen)
    if known is not None and known.n_tensors != n_tensors:
        raise OtherTensorsError(
            f"its output had {known.n_tensors} tensors in an earlier batch and has {n_tensors} now, so it is unclear "
            "which of them to compare: choose other layers with layers="
        )
    found = search.best()
    if found is not None and found.layout is not None:
        return found._replace(layout=found.layout._replace(n_tensors=n_tensors))
    reason = _reason_for_no_output(output, n, dims, search.seen)
    raise UnclearError(reason) if search.may_be_flattened else RepresentationError(reason)


FIRST = Layout(0, 0)
"""The layout of an output whose first or only tensor has the shape (n, ...)."""


class _Search:
    """Searches the tensors of an output for the tensor to compare. The arguments are those of `find_output`."""

    def __init__(self, n: int, dims: Sequence[int], dims_given: bool, evidence: Evidence) -> None:
        self._n = n
        self._dims = dims
        self._dims_given = dims_given
        self._evidence = evidence
        self._known, self._probed, self._lengths = evidence.known, evidence.probed, evidence.lengths
        self._found: list[Output] = []
        self.seen: list[str] = []
        """the type and shape of each tensor in the output, such as "float32 (2, 3)", for messages"""
        self.may_be_flattened = False
        """whether a tensor may have the shape (n * tokens, ...), so that a probing pass is needed"""

    def best(self) -> Output | None:
        """Return the first tensor found that is not integer or boolean; if there is none, the first tensor found."""
        whole = (one for one in self._found if isinstance(one.source, PackedSequence) or not _is_whole(one.source))
        return next(whole, self._found[0] if self._found else None)

    def look_at(self, place: int, part: Any) -> None:
        """Check one tensor or packed sequence, `part`, whose index among the tensors of the output is `place`."""
        lengths, tensor = None, part
        if isinstance(part, PackedSequence):
            tensor, lengths = pad_packed_sequence(part, batch_first=True)
        if tensor.layout == torch._mkldnn:  # type: ignore[attr-defined]
            tensor = tensor.to_dense()
        kind = describe_type(tensor)
        self.seen.append(f"{kind} {_shape(tensor)}")
        if kind.startswith(("sparse", "nested")) or (self._known is not None and self._known.place != place):
            return
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if lengths is not None:
            layout: Layout | None = Layout(place, 0) if len(tensor) == self._n else None
        else:
            layout = self._layout(place, tensor)
        if layout is None:
            return
        unclear = self._probed is None and self._known is None and not self._dims_given and lengths is None
        unclear = unclear and _is_unclear(tensor, self._n, layout.dim, self._dims, self._evidence)
        found = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else _floating(tensor)
        found = _samples_first(found, layout, self._n)
        self._found.append(Output(found, layout.dim, lengths, part, tensor.is_complex(), layout, unclear))

    def _layout(self, place: int, tensor: Tensor) -> Layout | None:
        """Return where a tensor contains the samples; None if no samples are found."""
        n, shape = self._n, tensor.shape
        if self._known is not None:
            fits = self._known.dim < tensor.ndim and shape[self._known.dim] % n == 0
            is_flat = self._known.flattened is not None and (n == 1 or self._has_tokens(tensor))
            return self._known if fits and (is_flat or shape[self._known.dim] == n) else None
        following = None
        if self._probed is not None and not self._dims_given:
            following = self._probed.sample_dims(place, shape)
            if following:
                return Layout(place, next((dim for dim in self._dims if dim in following), following[0]))
            flattened = self._probed.flattened(place, tensor)
            if flattened is not None and self._has_tokens(tensor):
                return Layout(place, 0, flattened)
        for dim in self._dims if following is None else ():
            if dim < tensor.ndim and shape[dim] == n and (self._dims_given or dim == 0 or tensor.ndim == 3):
                return Layout(place, dim)
        whole = not _is_whole(tensor) and not self._dims_given and self._probed is None
        self.may_be_flattened |= whole and self._has_tokens(tensor)
        return None

    def _has_tokens(self, tensor: Tensor) -> bool:
        """Whether a tensor may be (n * tokens, ...), judged by the numbers of tokens per sample in other tensors."""
        tokens, rest = divmod(tensor.shape[0], self._n) if tensor.ndim > 1 else (0, 0)
        return self._n > 1 and rest == 0 and tokens > 1 and tokens in self._lengths


def _is_whole(tensor: Tensor) -> bool:
    """Whether a tensor contains integers or booleans."""
    return not tensor.is_floating_point() and not tensor.is_complex() and not tensor.is_quantized


def _floating(tensor: Tensor) -> Tensor:
    """Convert integers and booleans to float32 if this is exact or the device is MPS, otherwise to float64.

    Other tensors are returned unchanged.
    """
    if not _is_whole(tensor):
        return tensor
    exact = tensor.dtype in (torch.bool, torch.uint8, torch.int8, torch.int16) or tensor.device.type == "mps"
    return tensor.to(torch.float32 if exact else torch.float64)


def _samples_first(tensor: Tensor, layout: Layout, n: int) -> Tensor:
    """Return a tensor with the samples in dimension 0; a tensor (n * tokens, ...) becomes (n, tokens, ...)."""
    if layout.flattened is None:
        return tensor.movedim(layout.dim, 0) if layout.dim else tensor
    tokens = tensor.shape[0] // n
    if layout.flattened:
        return tensor.unflatten(0, (n, tokens))
    return tensor.unflatten(0, (tokens, n)).transpose(0, 1)


def _is_unclear(tensor: Tensor, n: int, dim: int, dims: Sequence[int], evidence: Evidence) -> bool:
    """Whether dimension `dim`, chosen because it has n entries, may hold something other than the samples.

    In two dimensions, the tensor may be (features, n), or (tokens, features) of position embeddings. In three or more
    dimensions, the tensor may be (tokens, n, ...).
    """
    if evidence.probed is not None:
        following = evidence.probed.sample_dims(0, tensor.shape)
        return following is not None and following != (dim,)
    if tensor.ndim < 2 or n < 2:
        return False
    is_square = tensor.shape[0] == tensor.shape[1] == n
    if tensor.ndim == 2:
        return is_square or n in evidence.lengths
    if tensor.ndim == 3:
        return dim != dims[0] or is_square
    return is_square and not evidence.channels_first


def _is_plain(tensor: Tensor, n: int) -> bool:
    """Whether a tensor is dense and floating-point, with n samples in dimension 0."""
    dense = tensor.layout == torch.strided and not tensor.is_nested
    return dense and tensor.is_floating_point() and tensor.ndim > 0 and tensor.shape[0] == n


def keeps_shape(found: Output, inputs: Any) -> bool:
    """Whether the tensor found in a layer's output has the shape of the layer's first input tensor.

    This compares the shape from before the samples were moved to dimension 0.
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
        f"its output ({what}) has no tensor with the batch's {n} samples {where}: pass batch_dim= if the "
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
