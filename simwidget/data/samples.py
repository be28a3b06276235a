"""Which samples a Gram matrix is of: their indices in the pass, their labels and, where they are images, thumbnails."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.thumbnails import NO_IMAGE, Size, thumbnail_size, thumbnails
from simwidget.restore.networks import tensor_version


@dataclass(frozen=True)
class Samples:
    """Some samples, on one device."""

    indices: Tensor
    """(n,) int64: running numbers of the pass, from 0, over all samples that the loader gave"""
    labels: Tensor
    """(n,) float64; NaN where there is none"""
    thumbnails: Tensor
    """(n, h, w, c) uint8"""
    has_thumbnail: Tensor
    """(n,) bool: whether the sample has a thumbnail"""

    def take(self, selection: Tensor | slice) -> "Samples":
        return Samples(*(part[selection] for part in vars(self).values()))

    @staticmethod
    def join(parts: Sequence["Samples"]) -> "Samples":
        return Samples(*(torch.cat(tensors) for tensors in zip(*(vars(one).values() for one in parts), strict=True)))


class BatchSamples:
    """One batch of the loader, so far as its samples can be named and shown later.

    The loader's own tensor is held as it came, until the thumbnails are made of it: no copy, and no work for samples
    that nobody looks at.
    """

    def __init__(self, first: int, batch: Batch, size: Size) -> None:
        self.n = batch.n
        self._first = first
        self._labels = None if batch.labels is None else batch.labels.double()
        self._size = size
        self._thumbnails: Tensor | None = None
        self._sample_of_position: Tensor | None = None
        # the first batch of the pass fixes the size: the pictures of others are brought to it
        inputs = batch.input_tensor
        fits = size != NO_IMAGE and inputs is not None and thumbnail_size(inputs)[2] == size[2]
        self._inputs = inputs if fits else None
        self._version = tensor_version(self._inputs)

    def shares_memory(self, inputs: Tensor | None) -> bool:
        """Whether these inputs have the memory of the ones that are held."""
        return self._inputs is not None and inputs is not None and self._inputs.data_ptr() == inputs.data_ptr()

    def set_sample_of_position(self, sample_of_position: Tensor) -> None:
        """Of the batch's n samples, each of `which` (m,) stands for one of the m that count, which are its tokens."""
        self._sample_of_position = sample_of_position

    def drop_inputs(self) -> None:
        """Let the loader's tensor go, with no thumbnails made of it."""
        self._inputs = None

    def make_thumbnails(self, unchanged: bool = False) -> None:
        """Make the thumbnails and let the loader's tensor go; they are not held if it was written into since.

        `unchanged` tells that the loader has had no chance to.
        """
        inputs = self._inputs
        if inputs is None:
            return
        try:
            made = thumbnails(inputs, self._size)
            # looked at afterwards: the loader may be at work on another thread
            if unchanged or (self._version is not None and tensor_version(inputs) == self._version):
                self._thumbnails = made
        finally:
            self._inputs = None

    def samples(self, device: torch.device) -> Samples:
        """The samples on this device; nothing waits for it."""
        self.make_thumbnails()
        made, labels = self._thumbnails, self._labels
        has_thumbnail = made is not None
        if made is None:
            made = torch.zeros(self.n, *self._size, dtype=torch.uint8)
        if labels is None:
            labels = torch.full((self.n,), torch.nan, dtype=torch.float64)
        all_samples = Samples(
            torch.arange(self._first, self._first + self.n, device=device),
            labels.to(device, non_blocking=True),
            made.to(device, non_blocking=True),
            torch.full((self.n,), has_thumbnail, device=device),
        )
        if self._sample_of_position is None:
            return all_samples
        return all_samples.take(self._sample_of_position.to(device))
