"""The loader's batches one by one, and how to come to the same place in them again."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from simwidget.data.loader import generators, is_one_shot, is_repeatable
from simwidget.data.loader_state import LoaderState, hash_batch
from simwidget.restore.randomness import RandomState
from simwidget.text.printable import describe_type


class BatchSource:
    """A loader's batches, each of which is in hand until it is `done`.

    After a failure `open` goes on: with the batch in hand, or, where the loader itself failed, by passing over those
    that were done. `start_from` begins at another run's state in the same way. With `records_hashes`, the `state`
    can be told at any time.
    """

    records_hashes = False
    """whether each batch is marked, so that another run can tell whether it meets the same ones"""

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
        assert self.records_hashes
        now = self._now or RandomState(self._devices)
        return LoaderState(self.n_done, self._start, now.arrays(), self._hashes[: self.n_done])

    def start_from(self, state: LoaderState) -> None:
        """Begin at a state of another run over the same batches."""
        self._target = state
        self.n_done = state.n_batches

    def open(self) -> None:
        """Begin, or go on after a failure."""
        if self._batches is not None and not self._failed:
            return
        if self._failed and is_one_shot(self._loader):
            raise RuntimeError(
                f"the loader, {describe_type(self._loader)}, ended with its error and cannot begin again: give a "
                "DataLoader or another iterable that can, or take the result as it is"
            )
        if self._target is not None:
            self._restore(self._target.initial_random_state)
        elif self._failed and self._start:
            self._restore(self._start)
        if not self._start:
            self._start = RandomState(self._devices).arrays() | self._generators()
        self._batches = iter(self._loader)
        self._failed = False
        self._skip()

    def next(self) -> Any:
        """The batch in hand, or the next one; raises StopIteration after the last."""
        assert self._batches is not None
        if not self._current:
            try:
                self._current.append(next(self._batches))
            except StopIteration:
                raise
            except BaseException:
                self._failed = True
                raise
            if self.records_hashes:
                self._hashes.append(hash_batch(self._current[0]))
        return self._current[0]

    def advance(self) -> None:
        """The batch in hand is through."""
        self._current.clear()
        self.n_done += 1
        if self.records_hashes:
            self._now = RandomState(self._devices)

    def _skip(self) -> None:
        """Take the batches that were done before."""
        assert self._batches is not None
        expected = self._hashes[: self.n_done] if self._target is None else array("q", self._target.hashes)
        self._hashes = array("q")
        first_difference = None
        for index in range(self.n_done):
            try:
                batch = next(self._batches)
            except StopIteration:
                raise ValueError(
                    f"the loader ends after {index} batches, and the run had taken {self.n_done} of it: give the same "
                    "loader again"
                ) from None
            if self.records_hashes:
                found = hash_batch(batch)
                if found != expected[index] and first_difference is None:
                    first_difference = index
                self._hashes.append(found)
        if first_difference == 0 and is_repeatable(self._loader):
            raise ValueError(
                "the first batch of the loader is not the one that the run began with: give the same data in the same "
                "order"
            )
        if self.n_done and (first_difference is not None or not is_repeatable(self._loader)):
            self.notes.append("not bit-reproducible: the loader gave other batches, or cannot be proven to repeat them")
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
