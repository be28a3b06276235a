"""Representations -> the Gram matrices of one batch.

A Gram matrix of a few samples says next to nothing, so the representations of consecutive forward passes are joined
until `gram_batch` samples are there. This is the one bounded copy of activations in the program; a batch that is large
enough by itself is reduced inside the hook and never copied.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Key = tuple[int | str, str]
"""What a representation is of: a network's position and a layer's call, or "confounder" and its name."""


class GramBatch:
    """The Gram matrices of one joined batch, by key.

    `open(n)` announces a forward pass over n samples, `put(key, x)` takes one of its representations (n, p), and
    `close()` ends it and says whether the batch is full; then `take()` gives the matrices and starts afresh.
    """

    def __init__(self, gram_batch: int, kernel: Callable[[Tensor], Tensor]) -> None:
        self._gram_batch = gram_batch
        self._kernel = kernel
        self._clear()

    def _clear(self) -> None:
        self.n_samples = 0
        self._incoming = 0
        self._parts: dict[Key, list[Tensor]] = {}
        self._originals: dict[Key, Key | None] = {}
        self._grams: dict[Key, Tensor] = {}
        self._before: dict[Key, list[Tensor]] | None = None
        self._kernels: dict[Key, Callable[[Tensor], Tensor]] = {}

    @property
    def incoming(self) -> int:
        """Samples of the open forward pass."""
        return self._incoming

    def open(self, n: int) -> None:
        self._incoming = n
        self._before = dict(self._parts)

    def put(
        self,
        key: Key,
        x: Tensor,
        original: Key | None = None,
        kernel: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """One representation of the open forward pass; its memory may be overwritten once this returns.

        `original` is the key of the same forward pass whose representation is the same tensor, if there is one; the
        two then share their copy and their Gram matrix. A `kernel` of its own makes this key's Gram matrix.
        """
        if kernel is not None:
            self._kernels[key] = kernel
        if self._originals.setdefault(key, original) != original:
            original = self._originals[key] = None
        parts = self._parts.pop(key, [])
        if parts and parts[0].shape[1] != x.shape[1]:
            removed = key[0] == "confounder"
            kind, remedy = ("confounder", "another confounder=") if removed else ("layer", 'representation="mean"')
            raise ValueError(
                f"{kind} {key[1]!r} has {x.shape[1]} features in this batch and {parts[0].shape[1]} in those it is "
                f"joined with: give batches of one shape, {remedy}, or gram_batch=1 to join none"
            )
        if not self._fills:
            shared = self._parts.get(original, []) if original is not None else []
            self._parts[key] = [*parts, shared[-1] if shared else x.clone()]
        elif sum(map(len, parts)) == self.n_samples:
            if original is not None and original in self._grams:
                self._grams[key] = self._grams[original]
            else:
                self._grams[key] = self._kernel_of(key)(torch.cat([*parts, x]) if parts else x)

    def close(self) -> bool:
        """End the forward pass; whether the batch is full."""
        fills = self._fills
        self.n_samples += self._incoming
        self._incoming = 0
        self._before = None
        return fills

    def abandon(self) -> None:
        """Forget the open forward pass; what was joined before it stays."""
        self._incoming = 0
        if self._before is not None:
            self._parts = self._before
        self._grams = {}

    def take(self) -> tuple[int, dict[Key, Tensor]]:
        """The number of samples and the Gram matrices of the keys that ran in every forward pass; starts afresh."""
        n, grams = self.n_samples, dict(self._grams)
        for key, parts in self._parts.items():
            if sum(map(len, parts)) == n:
                grams[key] = self._kernel_of(key)(torch.cat(parts))
        self._clear()
        return n, grams

    def _kernel_of(self, key: Key) -> Callable[[Tensor], Tensor]:
        return self._kernels.get(key, self._kernel)

    @property
    def _fills(self) -> bool:
        """Whether the open forward pass makes the batch full."""
        return self.n_samples + self._incoming >= self._gram_batch
