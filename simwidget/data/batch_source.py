"""`BatchSource`: iterates over the loader, and can continue after a failure or from a checkpoint."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from simwidget.data.batch_hash import hash_batch
from simwidget.data.loader import (
    explain_no_batch,
    generators,
    has_one_iterator,
    is_one_shot,
    is_repeatable,
    is_used_up,
)
from simwidget.data.loader_state import LoaderState
from simwidget.data.readers import READERS, InUseError
from simwidget.restore.randomness import RandomState
from simwidget.text.printable import describe_type


class Skipped(Protocol):
    """Interface of an object that examines skipped batches: completed batches that a continued run reads again."""

    def take(self, batch: Any) -> None:
        """Examine one skipped batch. This is called for each skipped batch, in the order of the loader."""

    def check(self, n_same: int) -> Sequence[str]:
        """Return notes about the skipped batches, to be added to the result; or raise an error.

        This is called after the last skipped batch. The first `n_same` skipped batches are equal to the batches that
        the run had completed; the next one, if any, is not.
        """


class BatchSource:
    """Iterates over the batches of a loader, and can continue after a failure or from the state of another run.

    `next` returns the current batch. It returns the same batch again until `advance` marks the batch as completed.

    After a failure, call `open` again. If the processing of a batch had failed, `next` returns this batch again. If the
    loader itself had failed, `open` iterates over the loader anew and skips the completed batches. To continue from the
    state of another run, call `start_from` and then `open`. In this case `open` skips the batches that the other run
    completed.

    Args:
        loader: the iterable of batches.
        devices: devices whose random number generators are included in `state`, in addition to the CPU's generator.
    """

    records_hashes = False
    """whether batches are hashed; a resumed run needs the hashes to check that its loader yields the same batches"""

    def __init__(self, loader: Iterable, devices: Sequence[torch.device]) -> None:
        self._loader = loader
        self._devices = devices
        self._batches: Iterator | None = None
        self._current: list[Any] = []
        self._failed = False
        self._hashes = array("q")
        self._start: dict[str, Tensor] = {}
        self._now: RandomState | None = None
        self._target: LoaderState | None = None
        self.n_done = 0
        self.notes: list[str] = []

    @property
    def state(self) -> LoaderState:
        """The state of the loader after the completed batches, for a checkpoint. `records_hashes` must be true."""
        assert self.records_hashes
        now = self._now or RandomState(self._devices)
        return LoaderState(self.n_done, self._start, now.arrays(), self._hashes[: self.n_done])

    def start_from(self, state: LoaderState) -> None:
        """Continue from `state`, the state of another run over the same batches. Call this before `open`."""
        self._target = state
        self.n_done = state.n_batches
        # a loader that is refused must leave this state as it is
        self._start, self._hashes = dict(state.initial_random_state), array("q", state.hashes)
        self._now = RandomState.from_arrays(state.random_state)

    def open(self, skipped: Skipped | None = None) -> None:
        """Start iterating over the loader, or continue after a failure. Call `close` at the end.

        Args:
            skipped: an object that gets the completed batches if they are read again. Errors that its methods raise are
                not caught.

        Raises:
            RuntimeError: another running comparison is reading the loader's only iterator. Or: the loader can be
                iterated only once, and after the first `open` it failed or another comparison read batches from it.
            ValueError: the loader is used up or has fewer batches than were completed before. Or: the loader is
                repeatable, but its first batch differs from the first completed batch.
        """
        if has_one_iterator(self._loader):
            continues = self._begin_reading(self._loader)
        else:
            continues = self._batches is not None and self._begin_reading(self._batches)
        if self._batches is not None and not self._failed:
            if continues:
                return
            self._failed = True
            self._current.clear()
        if self._failed and is_one_shot(self._loader):
            reason = "after its error" if continues else "after another comparison has read it"
            raise RuntimeError(
                f"the loader, {describe_type(self._loader)}, cannot be iterated again {reason}: pass a "
                "DataLoader or another iterable that can, or use the result so far"
            )
        if is_used_up(self._loader):
            raise ValueError(explain_no_batch(self._loader))
        if self._target is not None:
            self._restore(self._target.initial_random_state)
        elif self._failed and self._start:
            self._restore(self._start)
        if not self._start:
            self._start = RandomState(self._devices).arrays() | self._generators()
        self._batches = iter(self._loader)
        if not has_one_iterator(self._loader):
            self._begin_reading(self._batches)  # a class of the user's may give all the same
        self._failed = True  # until the right place is reached
        self._skip(skipped)
        self._failed = False

    @contextmanager
    def random_state_kept_on_error(self) -> Iterator[None]:
        """Context manager: if the `with` block raises an error, restore the states of the random number generators.

        These are the global generators and the generators of the loader.
        """
        before, own = RandomState(self._devices), [one.get_state() for one in generators(self._loader)]
        try:
            yield
        except BaseException:
            before.restore()
            for generator, state in zip(generators(self._loader), own, strict=True):
                generator.set_state(state)
            raise

    def close(self) -> None:
        """Stop reading, so that other runs may read the loader's iterator. `open` may be called again later."""
        READERS.end(self)

    def _begin_reading(self, iterator: Any) -> bool:
        """Register this run as the reader of the iterator.

        Returns:
            True if this run was already the latest reader of the iterator; False if another run was, or no run.

        Raises:
            RuntimeError: another running comparison is reading the iterator.
        """
        try:
            return READERS.begin(self, iterator)
        except InUseError:
            which = describe_type(self._loader)
            if not is_one_shot(self._loader):
                which += " with one iterator for all"
            raise RuntimeError(
                f"the loader, {which}, is being read by another running comparison: each would get a part of the "
                "batches; pass another DataLoader or a list, or wait for the other comparison"
            ) from None

    def next(self) -> Any:
        """Return the current batch. If there is no current batch, read the next batch from the loader first.

        There is no current batch at the start and after `advance`.

        Raises StopIteration after the last batch, and ValueError if the loader gives no batch at all.
        """
        assert self._batches is not None
        if not self._current:
            try:
                self._current.append(next(self._batches))
            except StopIteration:
                if self.n_done:
                    self._note_early_end()
                    raise
                self._failed = True
                raise ValueError(explain_no_batch(self._loader)) from None
            except BaseException:
                self._failed = True
                raise
            if self.records_hashes:
                self._hashes.append(hash_batch(self._current[0]))
        return self._current[0]

    def _note_early_end(self) -> None:
        """Add a note if the loader has given fewer batches than `len(loader)`."""
        try:
            expected = len(self._loader)  # type: ignore[arg-type]
        except (TypeError, NotImplementedError):
            return
        note = f"the loader ended after {self.n_done} batches, and its length says {expected}: are samples missing?"
        if self.n_done < expected and note not in self.notes:
            self.notes.append(note)

    def advance(self) -> None:
        """Mark the current batch as completed."""
        self._current.clear()
        self.n_done += 1
        if self.records_hashes:
            self._now = RandomState(self._devices)

    def _skip(self, skipped: Skipped | None) -> None:
        """Read the completed batches again, pass them to `skipped`, and compare their hashes with the recorded hashes.

        If a hash differs, or if the loader is not certain to repeat its batches, a note says that the result is not
        bit-reproducible.

        Raises:
            ValueError: the loader has fewer batches than were completed before; or the loader is repeatable, but the
                hash of its first batch differs.
        """
        assert self._batches is not None
        expected = self._hashes[: self.n_done]
        hashes = array("q")
        first_difference = None
        for index in range(self.n_done):
            try:
                batch = next(self._batches)
            except StopIteration:
                raise ValueError(
                    f"the loader ends after {index} batches, but {self.n_done} were completed before: pass the same "
                    "loader"
                ) from None
            if self.records_hashes:
                found = hash_batch(batch)
                if found != expected[index] and first_difference is None:
                    first_difference = index
                hashes.append(found)
            if skipped is not None:
                skipped.take(batch)
        if first_difference == 0 and is_repeatable(self._loader):
            raise ValueError(
                "the first batch of the loader differs from the first batch of the run: pass the same data in the same "
                "order"
            )
        if skipped is not None:
            self.notes += skipped.check(self.n_done if first_difference is None else first_difference)
        self._hashes = hashes
        if self.n_done and (first_difference is not None or not is_repeatable(self._loader)):
            self.notes.append(
                "not bit-reproducible: the loader yields other batches than before, or is not certain to repeat them"
            )
        if self._target is not None and first_difference is None:
            RandomState.from_arrays(self._target.random_state).restore()
            self._now = RandomState(self._devices)
        self._target = None

    def _generators(self) -> dict[str, Tensor]:
        return {f"generator/{k}": one.get_state() for k, one in enumerate(generators(self._loader))}

    def _restore(self, start: Mapping[str, Tensor]) -> None:
        state = RandomState.from_arrays(start)
        for k, generator in enumerate(generators(self._loader)):
            if f"generator/{k}" in start:
                generator.set_state(start[f"generator/{k}"])
        state.restore()
        self._start = dict(start)
