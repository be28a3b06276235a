"""Which samples a Gram matrix is of: their places in the pass, their labels and, where they are images, thumbnails."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.thumbnails import NO_IMAGE, Size, thumbnail_size, thumbnails
from simwidget.restore.networks import version


@dataclass(frozen=True)
class Samples:
    """Some samples, on one device."""

    places: Tensor
    """(n,) int64: running numbers of the pass, from 0, over all samples that the loader gave"""
    labels: Tensor
    """(n,) float64; NaN where there is none"""
    thumbnails: Tensor
    """(n, h, w, c) uint8"""
    pictured: Tensor
    """(n,) bool: whether the sample has a thumbnail"""

    def take(self, which: Tensor | slice) -> "Samples":
        return Samples(*(part[which] for part in vars(self).values()))

    @staticmethod
    def join(several: Sequence["Samples"]) -> "Samples":
        return Samples(*(torch.cat(parts) for parts in zip(*(vars(one).values() for one in several), strict=True)))


class Given:
    """One batch of the loader, so far as its samples can be named and shown later.

    The loader's own tensor is kept as it came, until the thumbnails are made of it: no copy, and no work for samples
    that nobody looks at.
    """

    def __init__(self, first: int, batch: Batch, size: Size) -> None:
        self.n = batch.n
        self._first = first
        self._labels = None if batch.labels is None else batch.labels.double()
        self._size = size
        self._thumbnails: Tensor | None = None
        self._which: Tensor | None = None
        # the first batch of the pass fixes the size: the pictures of others are brought to it
        inputs = batch.tensor
        fits = size != NO_IMAGE and inputs is not None and thumbnail_size(inputs)[2] == size[2]
        self._inputs = inputs if fits else None
        self._version = version(self._inputs)

    def lies_in(self, inputs: Tensor | None) -> bool:
        """Whether these inputs have the memory of the ones that are kept."""
        return self._inputs is not None and inputs is not None and self._inputs.data_ptr() == inputs.data_ptr()

    def drawn(self, which: Tensor) -> None:
        """Of the batch's n samples, each of `which` (m,) stands for one of the m that count, which are its tokens."""
        self._which = which

    def forget(self) -> None:
        """Let the loader's tensor go, with no thumbnails made of it."""
        self._inputs = None

    def develop(self, at_once: bool = False) -> None:
        """Make the thumbnails and let the loader's tensor go; they are not kept if it was written into since.

        `at_once` tells that the loader has had no chance to.
        """
        inputs = self._inputs
        if inputs is None:
            return
        try:
            made = thumbnails(inputs, self._size)
            # looked at afterwards: the loader may be at work on another thread
            if at_once or (self._version is not None and version(inputs) == self._version):
                self._thumbnails = made
        finally:
            self._inputs = None

    def samples(self, device: torch.device) -> Samples:
        """The samples on this device; nothing waits for it."""
        self.develop()
        made, labels = self._thumbnails, self._labels
        pictured = made is not None
        if made is None:
            made = torch.zeros(self.n, *self._size, dtype=torch.uint8)
        if labels is None:
            labels = torch.full((self.n,), torch.nan, dtype=torch.float64)
        everyone = Samples(
            torch.arange(self._first, self._first + self.n, device=device),
            labels.to(device, non_blocking=True),
            made.to(device, non_blocking=True),
            torch.full((self.n,), pictured, device=device),
        )
        return everyone if self._which is None else everyone.take(self._which.to(device))


class SampleBatch:
    """The samples of one joined batch, as `GramBatch` has its Gram matrices.

    `open(batch)` announces a forward pass and `close()` ends it; `take()` gives what was closed and starts afresh, and
    `drop()` starts afresh alone. A pass that was abandoned leaves nothing.
    """

    def __init__(self) -> None:
        self._n_given = 0
        self._size: Size | None = None
        self._open: Given | None = None
        self._waiting: tuple[Given, ...] = ()
        self._taken: tuple[Given, ...] = ()
        self._reuses = False

    @property
    def n_given(self) -> int:
        """Samples of all passes so far; whoever goes on where another pass stood begins there."""
        return self._n_given

    @n_given.setter
    def n_given(self, n: int) -> None:
        self._n_given = n

    def open(self, batch: Batch) -> None:
        if self._size is None:
            self._size = NO_IMAGE if batch.tensor is None else thumbnail_size(batch.tensor)
        self._open = Given(self._n_given, batch, self._size)
        self._n_given += batch.n
        # numpy writes into a tensor's memory unseen, but a loader that does gives the same memory again
        kept = (*self._taken, *self._waiting)
        self._reuses = self._reuses or any(one.lies_in(batch.tensor) for one in kept)
        for one in kept if self._reuses else ():
            one.forget()

    def close(self, develop: bool, which: Tensor | None = None) -> None:
        """End the forward pass; with `develop` its thumbnails are made now, while the loader has not gone on.

        `which` says for each token that is a sample here in which of the batch's samples it lies.
        """
        assert self._open is not None
        if which is not None:
            self._open.drawn(which)
        if develop:
            self._open.develop(at_once=True)
        elif self._reuses:
            self._open.forget()
        self._waiting = (*self._waiting, self._open)
        self._open = None

    def abandon(self) -> None:
        """Forget the open forward pass."""
        if self._open is not None:
            self._n_given -= self._open.n
            self._open = None

    def take(self) -> tuple[Given, ...]:
        self._taken, self._waiting = self._waiting, ()
        return self._taken

    def drop(self) -> None:
        self._waiting = ()
