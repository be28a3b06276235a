"""`Samples`: the indices, labels and thumbnails of the samples of a Gram matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.thumbnails import NO_IMAGE, Size, thumbnail_size, thumbnails
from simwidget.restore.networks import tensor_version


@dataclass(frozen=True)
class Samples:
    """The indices, labels and thumbnails of n samples, on one device."""

    indices: Tensor
    """(n,) int64: the index of each sample among all samples of the loader, from 0"""
    labels: Tensor
    """(n,) float64: the class label of each sample; NaN for a sample without a label"""
    thumbnails: Tensor
    """(n, height, width, channels) uint8: the thumbnail of each sample; zeros for a sample without a thumbnail"""
    has_thumbnail: Tensor
    """(n,) bool: whether each sample has a thumbnail"""

    def take(self, selection: Tensor | slice) -> "Samples":
        """Return the selected samples; `selection` is a slice or a tensor of indices from 0 to n - 1."""
        return Samples(*(part[selection] for part in vars(self).values()))

    @staticmethod
    def join(parts: Sequence["Samples"]) -> "Samples":
        """Concatenate several `Samples` in the given order."""
        return Samples(*(torch.cat(tensors) for tensors in zip(*(vars(one).values() for one in parts), strict=True)))


class BatchSamples:
    """The samples of one batch of the loader: indices, labels and, if the batch has images, thumbnails.

    Thumbnails are made on demand, because most batches are never inspected. Until the thumbnails are made, the object
    holds a reference to the loader's input tensor, not a copy.

    Args:
        first: the index of the batch's first sample among all samples of the loader.
        batch: the batch.
        size: height, width and channels of the thumbnails; with `NO_IMAGE` no thumbnails are made.
    """

    def __init__(self, first: int, batch: Batch, size: Size) -> None:
        self.n = batch.n
        self._first = first
        self._labels = None if batch.labels is None else batch.labels.double()
        self._size = size
        self._thumbnails: Tensor | None = None
        self._sample_of_position: Tensor | None = None
        # thumbnails of all batches have the size that the first batch determines; the number of channels must be equal
        inputs = batch.input_tensor
        fits = size != NO_IMAGE and inputs is not None and thumbnail_size(inputs)[2] == size[2]
        self._inputs = inputs if fits else None
        self._version = tensor_version(self._inputs)

    def shares_memory(self, inputs: Tensor | None) -> bool:
        """Whether `inputs`, another batch's input tensor, has the same memory address as this batch's input tensor.

        False if this batch's input tensor has been released.
        """
        return self._inputs is not None and inputs is not None and self._inputs.data_ptr() == inputs.data_ptr()

    def set_sample_of_position(self, sample_of_position: Tensor) -> None:
        """Let m positions (tokens or places of a feature map) serve as samples instead of the n samples of the batch.

        Args:
            sample_of_position: (m,), for each position the index of its sample in the batch.
        """
        self._sample_of_position = sample_of_position

    def drop_inputs(self) -> None:
        """Release the loader's input tensor without making thumbnails."""
        self._inputs = None

    def make_thumbnails(self, unchanged: bool = False) -> None:
        """Make the thumbnails and release the loader's input tensor.

        Some loaders overwrite their tensors. Therefore the thumbnails are discarded if the input tensor was changed
        after the batch was read. They are also discarded if this is unknown, as for inference tensors. With
        `unchanged=True` there is no such check; use this only if the loader has not yet read another batch.
        """
        inputs = self._inputs
        if inputs is None:
            return
        try:
            made = thumbnails(inputs, self._size)
            # checked afterwards, because the loader may write on another thread meanwhile
            if unchanged or (self._version is not None and tensor_version(inputs) == self._version):
                self._thumbnails = made
        finally:
            self._inputs = None

    def samples(self, device: torch.device) -> Samples:
        """Return the batch's `Samples` on `device`, without waiting for the device.

        If `set_sample_of_position` was called, there is one entry for each position; otherwise one for each sample.
        """
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
