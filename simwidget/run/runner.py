"""The work of a run: from the loader through the models into the sums, within its limits, and its state to the disk."""

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from functools import partial
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from simwidget.data.loader_state import LoaderState
from simwidget.data.source import BatchSource
from simwidget.plan.memory import out_of_memory_advice
from simwidget.plan.options import Plan
from simwidget.run.checkpoint import Checkpoint, Checkpointer
from simwidget.run.error_watch import ErrorWatch
from simwidget.run.identity import Identity
from simwidget.run.queries import Queries
from simwidget.run.single_pass import SinglePass
from simwidget.text.errors import add_place


class Runner(AbstractContextManager):
    """Open it as a context, as often as it takes, and call `step` until it says that there is no more."""

    def __init__(self, plan: Plan, loader: Iterable, queries: Queries) -> None:
        devices = tuple(dict.fromkeys(network.device for network in plan.networks))
        self.single_pass = SinglePass(plan)
        self._source = BatchSource(loader, devices)
        self._queries = queries
        self._limits = plan.limits
        self._errors = ErrorWatch(plan.limits)
        self._options_as_given = plan.as_given
        self._checkpointer: Checkpointer | None = None
        self._identify = partial(Identity.of, plan, loader)
        self._identity: Identity | None = None
        if plan.checkpoint is not None:
            self._write_to(plan.checkpoint.path, plan.checkpoint.seconds)
        self.started: str | None = None
        self.seconds = 0.0
        self.ended_by: str | None = None
        """the limit that was reached"""

    def __enter__(self) -> "Runner":
        self.started = self.started or datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.single_pass.__enter__()
        try:
            self._source.open()
        except BaseException:
            self.single_pass.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.single_pass.__exit__(*exc)

    def step(self) -> bool:
        """Take the next batch of the loader, or the one that failed again; False where there is none."""
        begun = time.monotonic()
        try:
            batch = self._source.next()
        except StopIteration:
            return False
        try:
            self.single_pass.step(batch)
        finally:
            if self.single_pass.n_batches > self._source.n_done:
                self._source.advance()
        self.seconds += time.monotonic() - begun
        return True

    def has_enough(self) -> bool:
        """Whether one of the limits is reached."""
        single_pass = self.single_pass
        self.ended_by = self._limits.reached(single_pass.n_batches, single_pass.n_seen, self.seconds)
        looks = self.ended_by is None and self._errors.is_time(single_pass.n_grams)
        if looks and self._errors.look(self._queries.result(single_pass.freeze()), single_pass.n_grams):
            self.ended_by = f"until={self._limits.until!r}"
        return self.ended_by is not None

    def finish(self, for_good: bool) -> None:
        """Take what waits to be joined into the sums; `for_good` when no batch comes after it."""
        self.save(now=True)  # before that: with what waits, another run that goes on from here would join other batches
        if not self.single_pass.is_whole:
            self.single_pass.finish()
            if for_good:
                self.save(now=True)

    def locate(self, error: BaseException) -> None:
        """Tell with an error in which batch it came, and what to do where it is one of memory."""
        if isinstance(error, torch.OutOfMemoryError):
            add_place(error, out_of_memory_advice(self.single_pass.tried, self._options_as_given))
        add_place(error, f"in batch {self.single_pass.n_batches} of the loader")

    @property
    def n_batches_needed(self) -> int | None:
        """An estimate of how many batches it takes to reach a limit."""
        single_pass = self.single_pass
        return self._limits.batches_needed(
            single_pass.n_batches, single_pass.n_seen, self.seconds, self._errors.n_batches_needed
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the way that the run took."""
        written = () if self._checkpointer is None or self._checkpointer.note is None else (self._checkpointer.note,)
        return (*self._source.notes, *written)

    # --- to a file and back ------------------------------------------------------------------------------------------

    def save(self, now: bool = False) -> None:
        """Write the checkpoint, if it is time and if all that went through the models is in the sums."""
        writer = self._checkpointer
        if writer is not None and self.single_pass.is_whole and self.single_pass.n_grams and (now or writer.is_time()):
            writer.write(self._content)

    def restore(self, checkpoint: Checkpoint, path: str | PathLike[str], seconds: float) -> None:
        """Before it is opened: go on where the run of this checkpoint stood.

        Raises ValueError for the checkpoint of another run, with what differs, and for one that is damaged.
        """
        self._who.check(checkpoint.header["about"])
        self.single_pass.restore(checkpoint.header["pass"], checkpoint.arrays)
        place = {n.removeprefix("source/"): one for n, one in checkpoint.arrays.items() if n.startswith("source/")}
        self._write_to(path, seconds)
        self._source.start_from(LoaderState.from_arrays(self.single_pass.n_batches, place))
        run = checkpoint.header.get("run")
        if isinstance(run, dict) and isinstance(run.get("seconds"), int | float):
            self.seconds = float(run["seconds"])
            self.started = None if run.get("started") is None else str(run["started"])

    def _write_to(self, path: str | PathLike[str], seconds: float) -> None:
        self._checkpointer = Checkpointer(path, seconds)
        self._source.records_hashes = True

    @property
    def _who(self) -> Identity:
        if self._identity is None:  # made when it is needed: it reads all weights
            self._identity = self._identify()
        return self._identity

    def _content(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What a checkpoint holds."""
        facts, arrays = self.single_pass.state()
        run = {"seconds": self.seconds, "started": self.started}
        header = {"about": self._who.about, "given": self._who.given, "pass": facts, "run": run}
        return header, {**arrays, **{f"source/{name}": one for name, one in self._source.state.arrays().items()}}
