"""The work of a run: from the loader through the models into the sums, within its limits, and its state to the disk."""

import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from functools import partial
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from simwidget.data.source import Feed, Place
from simwidget.plan.memory import how_to_fit
from simwidget.plan.model import SimilarityModel
from simwidget.plan.options import Options, Plan
from simwidget.run.checkpoint import Checkpoint, Checkpointer
from simwidget.run.error_watch import ErrorWatch
from simwidget.run.identity import Identity
from simwidget.run.queries import Answers
from simwidget.run.single_pass import Stream
from simwidget.text.errors import add_place


class Work(AbstractContextManager):
    """Open it as a context, as often as it takes, and call `step` until it says that there is no more."""

    def __init__(
        self, models: Sequence[SimilarityModel], plan: Plan, options: Options, loader: Iterable, answers: Answers
    ) -> None:
        devices = tuple(dict.fromkeys(network.device for network in plan.networks))
        self.stream = Stream(plan)
        self._feed = Feed(loader, devices)
        self._answers = answers
        self._limits = options.limits
        self._errors = ErrorWatch(options.limits)
        self._said = plan.said
        self._checkpointer: Checkpointer | None = None
        self._identify = partial(Identity.of, models, plan, options, loader)
        self._identity: Identity | None = None
        if options.checkpoint is not None:
            self._write_to(options.checkpoint, options.checkpoint_seconds)
        self.started: str | None = None
        self.seconds = 0.0
        self.ended_by: str | None = None
        """the limit that was reached"""

    def __enter__(self) -> "Work":
        self.started = self.started or datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.stream.__enter__()
        try:
            self._feed.open()
        except BaseException:
            self.stream.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stream.__exit__(*exc)

    def step(self) -> bool:
        """Take the next batch of the loader, or the one that failed again; False where there is none."""
        begun = time.monotonic()
        try:
            batch = self._feed.next()
        except StopIteration:
            return False
        try:
            self.stream.step(batch)
        finally:
            if self.stream.n_batches > self._feed.n_done:
                self._feed.done()
        self.seconds += time.monotonic() - begun
        return True

    def has_enough(self) -> bool:
        """Whether one of the limits is reached."""
        stream = self.stream
        self.ended_by = self._limits.reached(stream.n_batches, stream.n_seen, self.seconds)
        due = self.ended_by is None and self._errors.due(stream.n_grams)
        if due and self._errors.look(self._answers.result(stream.freeze()), stream.n_grams):
            self.ended_by = f"until={self._limits.until!r}"
        return self.ended_by is not None

    def finish(self, for_good: bool) -> None:
        """Take what waits to be joined into the sums; `for_good` when no batch comes after it."""
        self.save(now=True)  # before that: with what waits, another run that goes on from here would join other batches
        if not self.stream.is_whole:
            self.stream.finish()
            if for_good:
                self.save(now=True)

    def locate(self, error: BaseException) -> None:
        """Tell with an error in which batch it came, and what to do where it is one of memory."""
        if isinstance(error, torch.OutOfMemoryError):
            add_place(error, how_to_fit(self.stream.tried, self._said))
        add_place(error, f"in batch {self.stream.n_batches} of the loader")

    @property
    def n_batches_needed(self) -> int | None:
        """An estimate of how many batches it takes to reach a limit."""
        stream = self.stream
        return self._limits.batches_needed(stream.n_batches, stream.n_seen, self.seconds, self._errors.n_batches_needed)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the way that the run took."""
        written = () if self._checkpointer is None or self._checkpointer.note is None else (self._checkpointer.note,)
        return (*self._feed.notes, *written)

    # --- to a file and back ------------------------------------------------------------------------------------------

    def save(self, now: bool = False) -> None:
        """Write the checkpoint, if it is time and if all that went through the models is in the sums."""
        writer = self._checkpointer
        if writer is not None and self.stream.is_whole and self.stream.n_grams and (now or writer.due()):
            writer.write(self._content)

    def go_on_from(self, checkpoint: Checkpoint, path: str | PathLike[str], seconds: float) -> None:
        """Before it is opened: go on where the run of this checkpoint stood.

        Raises ValueError for the checkpoint of another run, with what differs, and for one that is damaged.
        """
        self._who.check(checkpoint.header["about"])
        self.stream.restore(checkpoint.header["stream"], checkpoint.arrays)
        place = {n.removeprefix("feed/"): one for n, one in checkpoint.arrays.items() if n.startswith("feed/")}
        self._write_to(path, seconds)
        self._feed.begin_at(Place.of(self.stream.n_batches, place))
        run = checkpoint.header.get("run")
        if isinstance(run, dict) and isinstance(run.get("seconds"), int | float):
            self.seconds = float(run["seconds"])
            self.started = None if run.get("started") is None else str(run["started"])

    def _write_to(self, path: str | PathLike[str], seconds: float) -> None:
        self._checkpointer = Checkpointer(path, seconds)
        self._feed.keeps_marks = True

    @property
    def _who(self) -> Identity:
        if self._identity is None:  # made when it is needed: it reads all weights
            self._identity = self._identify()
        return self._identity

    def _content(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What a checkpoint holds."""
        facts, arrays = self.stream.state()
        run = {"seconds": self.seconds, "started": self.started}
        header = {"about": self._who.about, "given": self._who.given, "stream": facts, "run": run}
        return header, {**arrays, **{f"feed/{name}": one for name, one in self._feed.place.arrays().items()}}
