"""The samples of a joined batch, collected forward pass by forward pass."""

from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.samples import BatchSamples
from simwidget.data.thumbnails import NO_IMAGE, Size, thumbnail_size


class SampleCollector:
    """The samples of one joined batch, as `GramBatch` has its Gram matrices.

    `open(batch)` announces a forward pass and `close()` ends it; `take()` gives what was closed and starts afresh, and
    `drop()` starts afresh alone. A pass that was abandoned leaves nothing.
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
        """Samples of all passes so far; whoever goes on where another pass stood begins there."""
        return self._n_seen

    @n_seen.setter
    def n_seen(self, n: int) -> None:
        self._n_seen = n

    def open(self, batch: Batch) -> None:
        if self._size is None:
            self._size = NO_IMAGE if batch.input_tensor is None else thumbnail_size(batch.input_tensor)
        self._open = BatchSamples(self._n_seen, batch, self._size)
        self._n_seen += batch.n
        # numpy writes into a tensor's memory unseen, but a loader that does gives the same memory again
        held = (*self._taken, *self._closed)
        self._reuses = self._reuses or any(one.shares_memory(batch.input_tensor) for one in held)
        for one in held if self._reuses else ():
            one.drop_inputs()

    def close(self, make_thumbnails: bool, sample_of_position: Tensor | None = None) -> None:
        """End the forward pass; with `make_thumbnails` its thumbnails are made now, while the loader has not gone on.

        `which` says for each token that is a sample here in which of the batch's samples it lies.
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
        """Forget the open forward pass."""
        if self._open is not None:
            self._n_seen -= self._open.n
            self._open = None

    def take(self) -> tuple[BatchSamples, ...]:
        self._taken, self._closed = self._closed, ()
        return self._taken

    def drop(self) -> None:
        self._closed = ()
