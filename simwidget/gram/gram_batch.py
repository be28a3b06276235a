"""`GramBatch`: joins the samples of consecutive forward passes into blocks, and computes each block's Gram matrices.

A Gram matrix of a few samples carries little information. Therefore a block has at least `gram_batch` samples; only
the last block may have fewer. Until a block is complete, this module keeps copies of the representations. No other
module keeps representations between the forward passes of a run. If a single forward pass has enough samples for a
block, no copies are made: the Gram matrices are computed directly in the forward hooks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.gram.kernels import Kernel, LinearKernel, finish_grams, gram_and_rounding, working_dtype, write_gram
from simwidget.gram.precision import Precision
from simwidget.gram.rows import Key


@dataclass(frozen=True)
class Grams:
    """The Gram matrices of one block of samples."""

    n: int
    """number of samples"""
    stack: Tensor
    """(R, n, n): one Gram matrix for each layer and confounder; all zeros if the key is not in `present`"""
    present: frozenset[Key]
    """keys of the layers and confounders that had a representation in every forward pass of the block"""
    uncertain: Tensor
    """(R,) bool: whether a noticeable share of the representation's variance may be nothing but rounding errors"""


@dataclass(frozen=True)
class StackBuffer:
    """Preallocated memory for the R Gram matrices of one block of samples, with a view of each matrix."""

    grams: Tensor
    """(R, n, n): the Gram matrices"""
    squares: Tensor
    """(R,): for each Gram matrix, the squared norm of the offset that its kernel subtracted from the features"""
    uncertain: Tensor
    """(R,) bool: for each Gram matrix, the result of `write_gram`"""
    gram: Sequence[Tensor]
    """R views of `grams`, each (n, n)"""
    square: Sequence[Tensor]
    """R views of `squares`, each a scalar ()"""

    @staticmethod
    def allocate(n_rows: int, n: int, dtype: torch.dtype, device: torch.device) -> "StackBuffer":
        grams = torch.zeros(n_rows, n, n, dtype=dtype, device=device)
        squares = torch.zeros(n_rows, dtype=dtype, device=device)
        uncertain = torch.zeros(n_rows, dtype=torch.bool, device=device)
        return StackBuffer(grams, squares, uncertain, grams.unbind(), squares.unbind())


class GramStack:
    """Collects the Gram matrices of one block of samples in one preallocated tensor.

    Separate tensors would have to be copied to stack them. The number of Gram matrices is not known before the end of
    the first block. Therefore the tensor first has room for `n_rows` Gram matrices, and is doubled when it is full.
    """

    def __init__(self, device: torch.device, n_rows: int = 1) -> None:
        self._device = device
        self._dtype = torch.float32
        self._n_rows = max(1, n_rows)
        self._buffer: StackBuffer | None = None

    def write(self, row: int, x: Tensor, kernel: Kernel) -> None:
        """Compute the Gram matrix (n, n) of a representation x (n, p) and store it at index `row` of the stack."""
        dtype = working_dtype(x.dtype)
        buffer = self._buffer_for(row, x.shape[0], dtype)
        if buffer.grams.dtype == dtype and buffer.grams.device == x.device:
            if write_gram(x, kernel, buffer.gram[row], buffer.square[row]):
                buffer.uncertain[row] = True
        else:  # finish_grams needs the rounding error of the dtype of the product, not that of the buffer
            gram, is_uncertain = gram_and_rounding(x, kernel)
            buffer.gram[row].copy_(gram)
            buffer.uncertain[row].copy_(is_uncertain)

    def repeat(self, row: int, original: int) -> None:
        """Copy the Gram matrix at index `original` of the stack to index `row`."""
        assert self._buffer is not None
        buffer = self._buffer_for(row, self._buffer.grams.shape[1], self._dtype)
        buffer.gram[row].copy_(buffer.gram[original])
        buffer.square[row].copy_(buffer.square[original])
        buffer.uncertain[row].copy_(buffer.uncertain[original])

    def take(self, n_rows: int, n: int) -> tuple[Tensor, Tensor]:
        """Complete the block's Gram matrices with `finish_grams`.

        Afterwards the stack is empty. `n` is the number of samples of the block.

        Returns:
            The Gram matrices (n_rows, n, n). And a bool tensor (n_rows,): whether a noticeable share of the variance
            may be nothing but rounding errors.
        """
        buffer = self._buffer_for(n_rows - 1, n, self._dtype)
        self._n_rows = max(1, n_rows)
        self._buffer = None
        grams = buffer.grams if len(buffer.grams) == n_rows else buffer.grams[:n_rows].clone()
        return grams, finish_grams(grams, buffer.squares[:n_rows]) | buffer.uncertain[:n_rows]

    def clear(self) -> None:
        """Discard all Gram matrices that were written since the last `take`."""
        self._buffer = None

    def _buffer_for(self, row: int, n: int, dtype: torch.dtype) -> "StackBuffer":
        """Return a buffer that has a Gram matrix at index `row`, and a dtype at least as wide as `dtype`.

        Allocates a buffer if there is none. If the present buffer is too small, or its dtype is too narrow, allocates a
        new buffer and copies the contents to it.
        """
        buffer = self._buffer
        if buffer is not None and buffer.grams.dtype == dtype and row < len(buffer.gram):
            return buffer
        self._dtype = torch.promote_types(self._dtype, dtype)
        while self._n_rows <= row:
            self._n_rows *= 2
        if buffer is None or len(buffer.gram) < self._n_rows or buffer.grams.dtype != self._dtype:
            self._buffer = StackBuffer.allocate(self._n_rows, n, self._dtype, self._device)
            if buffer is not None:
                self._buffer.grams[: len(buffer.gram)] = buffer.grams
                self._buffer.squares[: len(buffer.gram)] = buffer.squares
                self._buffer.uncertain[: len(buffer.gram)] = buffer.uncertain
            return self._buffer
        return buffer


@dataclass(frozen=True)
class GramOptions:
    """The options of `compare` that determine how Gram matrices are computed."""

    gram_batch: int
    """smallest number of samples in a block; batches with fewer samples are joined into blocks"""
    precision: Precision = "highest"
    """precision of the matrix products of features, see `matmul_precision`"""


class GramBatch:
    """Joins the samples of consecutive forward passes into blocks, and computes the Gram matrices of each block.

    Call `open(n)` before a forward pass over n samples, `put(key, x)` for each representation x (n, p) in this forward
    pass, and `close()` after the forward pass. If `close()` returns True, the block is full: it has at least
    `options.gram_batch` samples. Then call `take()`, which returns the block's Gram matrices and begins a new block.
    After the last forward pass, `take()` also works for a block that is not full.

    Args:
        options: the size of a block and the precision of the products.
        rows: for each key (layer or confounder), the index of its Gram matrix in the stack; entries may be added while
            representations arrive.
        device: where the Gram matrices are stored.
        n_rows: the expected number of Gram matrices; there may be more.
    """

    def __init__(self, options: GramOptions, rows: Mapping[Key, int], device: torch.device, n_rows: int = 1) -> None:
        self._gram_batch = options.gram_batch
        self._rows = rows
        self._stack = GramStack(device, n_rows)
        self._precision = options.precision
        self._kernel: Kernel = LinearKernel(options.precision)
        self._clear()

    def _clear(self) -> None:
        self.n_samples = 0
        self._incoming = 0
        self._parts: dict[Key, list[Tensor]] = {}
        self._originals: dict[Key, Key | None] = {}
        self._present: set[Key] = set()
        self._parts_before: dict[Key, list[Tensor]] | None = None
        self._kernels: dict[Key, Kernel] = {}

    @property
    def incoming(self) -> int:
        """Number of samples of the forward pass begun by `open`; 0 if no forward pass is open."""
        return self._incoming

    def open(self, n: int) -> None:
        """Begin a forward pass over n samples."""
        self._incoming = n
        self._parts_before = dict(self._parts)

    def put(self, key: Key, x: Tensor, original: Key | None = None, kernel: Kernel | None = None) -> None:
        """Add the representation of one layer or confounder from the open forward pass.

        The memory of `x` may be overwritten after the call.

        Args:
            key: the layer or confounder.
            x: its representation (n, p), with n samples and p features.
            original: the key of another layer or confounder whose representation in this forward pass is the same
                tensor; None if there is no such key. The two keys share one copy of the tensor. If all forward passes
                of a full block have the same `original` for `key`, the two keys also share one computation of the Gram
                matrix.
            kernel: the kernel for the Gram matrix of this key; by default the linear kernel.

        Raises:
            ValueError: the representation does not have the same number of features as in earlier forward passes of the
                same block.
        """
        if kernel is not None:
            self._kernels[key] = kernel
        if self._originals.setdefault(key, original) != original:
            original = self._originals[key] = None
        parts = self._parts.pop(key, [])
        if parts and parts[0].shape[1] != x.shape[1]:
            is_confounder = key[0] == "confounder"
            kind, remedy = (
                ("confounder", "another confounder=") if is_confounder else ("layer", 'representation="mean"')
            )
            raise ValueError(
                f"{kind} {key[1]!r} has {x.shape[1]} features in this batch and {parts[0].shape[1]} in those it is "
                f"joined with: give batches of one shape, {remedy}, or gram_batch=1 to join none"
            )
        if not self._fills_batch:
            shared = self._parts.get(original, []) if original is not None else []
            self._parts[key] = [*parts, shared[-1] if shared else x.clone()]
        elif sum(map(len, parts)) == self.n_samples:
            if original is not None and original in self._present:
                self._stack.repeat(self._rows[key], self._rows[original])
                self._present.add(key)
            else:
                self._reduce(key, torch.cat([*parts, x]) if parts else x)

    def close(self) -> bool:
        """End the open forward pass; return True if the block now has at least `gram_batch` samples."""
        is_full = self._fills_batch
        self.n_samples += self._incoming
        self._incoming = 0
        self._parts_before = None
        return is_full

    def abandon(self) -> None:
        """Discard the open forward pass; the block keeps the representations from earlier forward passes."""
        self._incoming = 0
        if self._parts_before is not None:
            self._parts = self._parts_before
        self._present.clear()
        self._stack.clear()

    def drop_scratch(self) -> None:
        """Release the scratch memory that the linear kernel keeps for the next Gram matrix."""
        self._kernel = LinearKernel(self._precision)

    def take(self) -> Grams:
        """Return the Gram matrices of the block, and begin a new block.

        A layer or confounder without a representation in every forward pass of the block has a Gram matrix of zeros.
        """
        n = self.n_samples
        for key, parts in self._parts.items():
            if sum(map(len, parts)) == n:
                self._reduce(key, torch.cat(parts))
        stack, uncertain = self._stack.take(len(self._rows), n)
        grams = Grams(n, stack, frozenset(self._present), uncertain)
        self._clear()
        return grams

    def _reduce(self, key: Key, x: Tensor) -> None:
        self._stack.write(self._rows[key], x, self._kernels.get(key, self._kernel))
        self._present.add(key)

    @property
    def _fills_batch(self) -> bool:
        """Whether the block, together with the open forward pass, has at least `gram_batch` samples."""
        return self.n_samples + self._incoming >= self._gram_batch
