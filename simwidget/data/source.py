"""The loader's batches one by one, and how to come to the same place in them again."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from simwidget.data.nested import tensors_in
from simwidget.restore.randomness import RandomState
from simwidget.text.printable import describe_type
from simwidget.text.untrusted import MalformedError

MARKED_ELEMENTS = 1024
"""Elements of each tensor of a batch by which it is known again."""


@dataclass(frozen=True)
class Place:
    """A place in a loader's batches, and what it takes to come there again."""

    n_batches: int
    start: Mapping[str, Tensor]
    """the random number generators before the first batch, the loader's own too"""
    now: Mapping[str, Tensor]
    """and here; without the loader's own"""
    marks: Sequence[int]
    """one for each batch until here"""

    def arrays(self) -> dict[str, Tensor]:
        return {
            **{f"start/{name}": one for name, one in self.start.items()},
            **{f"now/{name}": one for name, one in self.now.items()},
            "marks": torch.tensor(list(self.marks), dtype=torch.int64),
        }

    @staticmethod
    def of(n_batches: int, arrays: Mapping[str, Tensor]) -> "Place":
        """Raises MalformedError for what `arrays` did not give."""
        start, now = (
            {name.removeprefix(begin): one for name, one in arrays.items() if name.startswith(begin)}
            for begin in ("start/", "now/")
        )
        marks = arrays.get("marks", torch.zeros(0, dtype=torch.int64))
        if marks.dtype != torch.int64 or marks.shape != (n_batches,):
            raise MalformedError(f"it has {tuple(marks.shape)} marks for {n_batches} batches")
        RandomState.of(now)
        return Place(n_batches, start, now, marks.tolist())


class BatchSource:
    """A loader's batches, each of which is in hand until it is `done`.

    After a failure `open` goes on: with the batch in hand, or, where the loader itself failed, by passing over those
    that were done. `begin_at` begins at another run's place in the same way. With `keeps_marks`, the `place`
    can be told at any time.
    """

    keeps_marks = False
    """whether each batch is marked, so that another run can tell whether it meets the same ones"""

    def __init__(self, loader: Iterable, devices: Sequence[torch.device]) -> None:
        self._loader = loader
        self._devices = devices
        self._batches: Iterator | None = None
        self._in_hand: list[Any] = []
        self._broken = False
        self._marks = array("q")
        self._start: dict[str, Tensor] = {}
        self._now: RandomState | None = None
        self._aim: Place | None = None
        self.n_done = 0
        self.notes: list[str] = []

    @property
    def place(self) -> Place:
        assert self.keeps_marks
        now = self._now or RandomState(self._devices)
        return Place(self.n_done, self._start, now.arrays(), self._marks[: self.n_done])

    def begin_at(self, place: Place) -> None:
        """Begin at a place of another run over the same batches."""
        self._aim = place
        self.n_done = place.n_batches

    def open(self) -> None:
        """Begin, or go on after a failure."""
        if self._batches is not None and not self._broken:
            return
        if self._broken and is_one_shot(self._loader):
            raise RuntimeError(
                f"the loader, {describe_type(self._loader)}, ended with its error and cannot begin again: give a "
                "DataLoader or another iterable that can, or take the result as it is"
            )
        if self._aim is not None:
            self._restore(self._aim.start)
        elif self._broken and self._start:
            self._restore(self._start)
        if not self._start:
            self._start = RandomState(self._devices).arrays() | self._generators()
        self._batches = iter(self._loader)
        self._broken = False
        self._skip()

    def next(self) -> Any:
        """The batch in hand, or the next one; raises StopIteration after the last."""
        assert self._batches is not None
        if not self._in_hand:
            try:
                self._in_hand.append(next(self._batches))
            except StopIteration:
                raise
            except BaseException:
                self._broken = True
                raise
            if self.keeps_marks:
                self._marks.append(mark(self._in_hand[0]))
        return self._in_hand[0]

    def done(self) -> None:
        """The batch in hand is through."""
        self._in_hand.clear()
        self.n_done += 1
        if self.keeps_marks:
            self._now = RandomState(self._devices)

    def _skip(self) -> None:
        """Take the batches that were done before."""
        assert self._batches is not None
        known = self._marks[: self.n_done] if self._aim is None else array("q", self._aim.marks)
        self._marks = array("q")
        differs = None
        for index in range(self.n_done):
            try:
                batch = next(self._batches)
            except StopIteration:
                raise ValueError(
                    f"the loader ends after {index} batches, and the run had taken {self.n_done} of it: give the same "
                    "loader again"
                ) from None
            if self.keeps_marks:
                found = mark(batch)
                if found != known[index] and differs is None:
                    differs = index
                self._marks.append(found)
        if differs == 0 and replays(self._loader):
            raise ValueError(
                "the first batch of the loader is not the one that the run began with: give the same data in the same "
                "order"
            )
        if self.n_done and (differs is not None or not replays(self._loader)):
            self.notes.append("not bit-reproducible: the loader gave other batches, or cannot be proven to repeat them")
        if self._aim is not None and differs is None:
            RandomState.of(self._aim.now).restore()
            self._now = RandomState(self._devices)
        self._aim = None

    def _generators(self) -> dict[str, Tensor]:
        return {f"generator/{k}": one.get_state() for k, one in enumerate(generators(self._loader))}

    def _restore(self, start: Mapping[str, Tensor]) -> None:
        state = RandomState.of(start)
        for k, generator in enumerate(generators(self._loader)):
            if f"generator/{k}" in start:
                generator.set_state(start[f"generator/{k}"])
        state.restore()
        self._start = dict(start)


def generators(loader: Any) -> list[torch.Generator]:
    """A loader's own random number generators."""
    parts = (loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None))
    found = [getattr(part, "generator", None) for part in parts]
    return list({id(one): one for one in found if isinstance(one, torch.Generator)}.values())


def is_one_shot(loader: Iterable) -> bool:
    """Whether a loader can be walked through once only."""
    return isinstance(loader, Iterator)


def replays(loader: Any) -> bool:
    """Whether a loader provably gives the same batches again, from the same random numbers."""
    if isinstance(loader, DataLoader):
        return not isinstance(loader.dataset, IterableDataset)
    return isinstance(loader, Sequence)


def mark(batch: Any) -> int:
    """A number by which a batch is known again, of some of its elements; of tensors on a device, of their shapes."""
    found = hashlib.blake2b(digest_size=8)
    for one in tensors_in(batch):
        tensor = one if isinstance(one, Tensor) else one.data
        found.update(f"{tensor.dtype} {tuple(tensor.shape) if not tensor.is_nested else tensor.numel()}".encode())
        if tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.is_nested:
            flat = tensor.detach().reshape(-1)
            some = flat[:: max(1, len(flat) // MARKED_ELEMENTS)][:MARKED_ELEMENTS].contiguous()
            if not some.is_quantized and not some.is_conj():
                found.update(some.view(torch.uint8).numpy().tobytes())
    return int.from_bytes(found.digest(), "little", signed=True)
