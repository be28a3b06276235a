"""`ProbedOutput`: a record of a layer's output in a probing pass, used to find the dimension that indexes the samples.

A probing pass is a forward pass over fewer samples of a batch. The dimension that indexes the samples becomes smaller
in this pass.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torch import Tensor


class ProbeNeededError(BaseException):
    """Raised within a forward pass if only a probing pass can tell where a layer's output contains the samples.

    The base class is `BaseException`, because the code of a network might catch an `Exception`.
    """


@dataclass(frozen=True)
class ProbedTensor:
    """One tensor of a layer's output in a probing pass."""

    shape: tuple[int, ...]
    row_sums: Tensor | None = field(default=None, repr=False)
    """(length of dimension 0,) float64: the sum over all other dimensions

    None if the tensor is sparse or not floating-point, or if it cannot be (samples * tokens, ...).
    """


@dataclass(frozen=True)
class ProbedOutput:
    """The tensors that one call of a layer returned in a probing pass over m of a batch's n samples."""

    n: int
    m: int
    tensors: tuple[ProbedTensor, ...]

    @classmethod
    def of(cls, n: int, m: int, tensors: Iterable[Tensor]) -> "ProbedOutput":
        """Return the record of an output's `tensors`, for n samples in the batch and m samples in the probing pass."""
        return cls(n, m, tuple(ProbedTensor(shape_of(one), _row_sums(one, m)) for one in tensors))

    def sample_dims(self, place: int, shape: Sequence[int]) -> tuple[int, ...] | None:
        """Return the dimensions of a tensor that have n entries in the pass over n samples, and m in the probing pass.

        Args:
            place: the index of the tensor among the tensors of the output.
            shape: the tensor's shape in the pass over n samples.

        Returns:
            The dimensions in ascending order. None if the output in the probing pass has no such tensor, or if that
            tensor has a different number of dimensions.
        """
        probed = self.tensors[place].shape if place < len(self.tensors) else ()
        if len(probed) != len(shape):
            return None
        return tuple(dim for dim, sizes in enumerate(zip(shape, probed, strict=True)) if sizes == (self.n, self.m))

    def flattened(self, place: int, tensor: Tensor) -> bool | None:
        """Return the order of the entries in dimension 0 of a tensor (n * tokens, ...).

        Args:
            place: the index of the tensor among the tensors of the output.
            tensor: the tensor in the pass over n samples.

        Returns:
            True: all tokens of sample 0, then all tokens of sample 1, and so on. False: token 0 of all samples, then
            token 1 of all samples, and so on. None: the tensor is not (n * tokens, ...), or the order is unclear.
        """
        probed = self.tensors[place] if place < len(self.tensors) else None
        if probed is None or probed.row_sums is None or tensor.ndim != len(probed.shape):
            return None
        tokens, rest = divmod(tensor.shape[0], self.n)
        if rest or tokens < 2 or probed.shape[0] != tokens * self.m:
            return None
        full = tensor.flatten(1).double().sum(1)
        spread = full.std()
        by_sample = (full[: tokens * self.m] - probed.row_sums).abs().max() < ROW_TOLERANCE * spread
        by_token = full.view(tokens, self.n)[:, : self.m].flatten() - probed.row_sums
        fits = bool(by_sample), bool(by_token.abs().max() < ROW_TOLERANCE * spread)
        return fits[0] if fits[0] != fits[1] else None


ROW_TOLERANCE = 1e-2
"""Two row sums count as equal if they differ by less than this fraction of the standard deviation of the row sums."""


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape; () for a nested tensor or a packed sequence."""
    if not isinstance(tensor, Tensor) or tensor.is_nested:
        return ()
    return tuple(tensor.shape)


def _row_sums(tensor: Tensor, m: int) -> Tensor | None:
    shape = shape_of(tensor)
    if len(shape) < 2 or not tensor.is_floating_point() or tensor.is_sparse or shape[0] <= m or shape[0] % m:
        return None
    return tensor.flatten(1).double().sum(1)
