"""`ProbedOutput`: the shapes of a layer's output in a probing pass, a forward pass over fewer samples.

The dimension that becomes smaller with the number of samples is the one that indexes the samples, whatever the lengths
of the other dimensions are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torch import Tensor


class ProbeNeededError(BaseException):
    """Raised within a forward pass if only a probing pass can tell where a layer's output has its samples.

    It is no `Exception`, so that no `except Exception` in the code of a network catches it.
    """


@dataclass(frozen=True)
class ProbedTensor:
    """One tensor of a layer's output in a probing pass."""

    shape: tuple[int, ...]
    row_sums: Tensor | None = field(default=None, repr=False)
    """(length of dimension 0,) float64: the sum over all other dimensions; None if dimension 0 can't hold the tokens of
    all samples one after the other"""


@dataclass(frozen=True)
class ProbedOutput:
    """The tensors of one layer call's output in a probing pass over m of the n samples of a batch."""

    n: int
    m: int
    tensors: tuple[ProbedTensor, ...]

    @classmethod
    def of(cls, n: int, m: int, tensors: Iterable[Tensor]) -> "ProbedOutput":
        """Record the `tensors` of an output (n: samples of the batch, m: samples of the probing pass)."""
        return cls(n, m, tuple(ProbedTensor(shape_of(one), _row_sums(one, m)) for one in tensors))

    def sample_dims(self, place: int, shape: Sequence[int]) -> tuple[int, ...] | None:
        """Return the dimensions that have n entries for n samples and m for m samples.

        Args:
            place: the index of the tensor among the tensors of the output.
            shape: the tensor's shape in the pass over n samples.

        Returns:
            The dimensions in ascending order, or None if the probing pass gave no tensor with as many dimensions.
        """
        probed = self.tensors[place].shape if place < len(self.tensors) else ()
        if len(probed) != len(shape):
            return None
        return tuple(dim for dim, sizes in enumerate(zip(shape, probed, strict=True)) if sizes == (self.n, self.m))

    def flattened(self, place: int, tensor: Tensor) -> bool | None:
        """Find how dimension 0 of a tensor (n * tokens, ...) contains the tokens of n samples.

        Args:
            place: the index of the tensor among the tensors of the output.
            tensor: the tensor in the pass over n samples.

        Returns:
            True if all tokens of a sample follow each other, False if the samples of a token do. None if dimension 0
            does not contain the tokens of all samples, or if the two cannot be told apart.
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
"""Largest difference of two row sums, relative to the standard deviation of all, that counts as rounding."""


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape; () for a nested tensor or a packed sequence, which have none."""
    if not isinstance(tensor, Tensor) or tensor.is_nested:
        return ()
    return tuple(tensor.shape)


def _row_sums(tensor: Tensor, m: int) -> Tensor | None:
    shape = shape_of(tensor)
    if len(shape) < 2 or not tensor.is_floating_point() or tensor.is_sparse or shape[0] <= m or shape[0] % m:
        return None
    return tensor.flatten(1).double().sum(1)
