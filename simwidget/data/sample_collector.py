"""`SampleCollector`: collects the samples of consecutive batches that are joined for one Gram matrix."""

from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.samples import BatchSamples
from simwidget.data.thumbnails import NO_IMAGE, Size, thumbnail_size


class SampleCollector:
    """Collects the samples (indices, labels, thumbnails) of consecutive batches that are joined for one Gram matrix.

    Call `open(batch)` before the forward pass of a batch, and `close(...)` after the forward pass. If the forward pass
    failed, call `abandon()` instead of `close`. `take()` returns and removes the samples of all closed batches;
    `drop()` removes these samples without returning them. The Gram matrices of the same batches are computed by a
    `GramBatch`, which has methods of the same names: call `open`, `close` and `abandon` of both objects together.
    """

    def __init__(self) -> None:
        self._n_seen = 0
        self._size: Size | None = None
        self._open: BatchSamples | None = None
        self._closed: tuple[BatchSamples, ...] = ()
        self._taken: tuple[BatchSamples, ...] = ()
        self._reuses = False

    @property
    def n_seen(self) -> int:
        """The number of samples in all batches so far. It is also the index of the next sample.

        Set this property to continue the count of another run.
        """
        return self._n_seen

    @n_seen.setter
    def n_seen(self, n: int) -> None:
        self._n_seen = n

    def open(self, batch: Batch) -> None:
        """Start collecting the samples of `batch`, before the forward pass."""
        if self._size is None:
            self._size = NO_IMAGE if batch.input_tensor is None else thumbnail_size(batch.input_tensor)
        self._open = BatchSamples(self._n_seen, batch, self._size)
        self._n_seen += batch.n
        # Writes through NumPy do not change a tensor's version, but a loader that overwrites its buffer through NumPy
        # yields the same memory address again. From then on, held tensors cannot be trusted.
        held = (*self._taken, *self._closed)
        self._reuses = self._reuses or any(one.shares_memory(batch.input_tensor) for one in held)
        for one in held if self._reuses else ():
            one.drop_inputs()

    def close(self, make_thumbnails: bool, sample_of_position: Tensor | None = None) -> None:
        """Add the samples of the open batch to the closed batches, after the forward pass.

        Args:
            make_thumbnails: whether to make the thumbnails now, before the loader can overwrite the input tensor. If
                False, thumbnails are made when they are needed. If the loader has overwritten the input tensor by then,
                the batch has no thumbnails.
            sample_of_position: None if the samples of the batch are used. If m positions (tokens or places of a feature
                map) serve as samples instead: (m,), for each position the index of its sample in the batch.
        """
        assert self._open is not None
        if sample_of_position is not None:
            self._open.set_sample_of_position(sample_of_position)
        if make_thumbnails:
            self._open.make_thumbnails(unchanged=True)
        elif self._reuses:
            self._open.drop_inputs()
        self._closed = (*self._closed, self._open)
        self._open = None

    def abandon(self) -> None:
        """Discard the open batch after its forward pass failed."""
        if self._open is not None:
            self._n_seen -= self._open.n
            self._open = None

    def take(self) -> tuple[BatchSamples, ...]:
        """Return one `BatchSamples` for each closed batch, and remove these batches from the collector."""
        self._taken, self._closed = self._closed, ()
        return self._taken

    def drop(self) -> None:
        """Discard the samples of all closed batches."""
        self._closed = ()
