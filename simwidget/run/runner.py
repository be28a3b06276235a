"""`Runner`: takes batches from the loader, checks the limits that end the run, and writes checkpoints."""

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from functools import partial
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from simwidget.data.batch_source import BatchSource
from simwidget.data.loader_state import LoaderState
from simwidget.plan.options import Plan
from simwidget.plan.out_of_memory import is_out_of_memory, out_of_memory_advice
from simwidget.restore.interrupts import interrupts_allowed, interrupts_held
from simwidget.run.checkpoint import Checkpoint
from simwidget.run.checkpointer import Checkpointer
from simwidget.run.first_block import FirstBlock, device_names
from simwidget.run.identity import Identity
from simwidget.run.queries import Queries
from simwidget.run.single_pass import SinglePass
from simwidget.run.until_limit import UntilLimit
from simwidget.text.errors import add_place


class Runner(AbstractContextManager):
    """Processes the batches of the loader, one in each call of `step`.

    A `SinglePass` runs the models on each batch and sums the products of Gram matrices. Use a `Runner` as a context
    manager. After a failure, enter the context again to continue with the batch that failed.
    """

    def __init__(self, plan: Plan, loader: Iterable, queries: Queries) -> None:
        devices = tuple(dict.fromkeys(network.device for network in plan.networks))
        self.single_pass = SinglePass(plan)
        self._source = BatchSource(loader, devices)
        self._queries = queries
        self._device_names = device_names(plan)
        self._limits = plan.limits
        self._errors = UntilLimit(plan.limits)
        self._options_as_given = plan.as_given
        self._checkpointer: Checkpointer | None = None
        self._identify = partial(Identity.of, plan, loader)
        self._identity: Identity | None = None
        self._first_block: FirstBlock | None = None
        """checks the first block of a resumed run against the checkpoint; None after this check, and in a new run"""
        if plan.checkpoint is not None:
            self._write_to(plan.checkpoint.path, plan.checkpoint.seconds)
        self._is_under_way = False
        self.started: str | None = None
        self.seconds = 0.0
        self.ended_by: str | None = None
        """the limit that ended the run, such as "max_samples=1000"; None if no limit did"""

    def __enter__(self) -> "Runner":
        self.started = self.started or datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._is_under_way = False
        if self._checkpointer is not None:
            _ = self._who  # before a forward pass can write into buffers
            self._checkpointer.check()
        self._check_first_block()  # a run that is refused takes no file from another one
        if self._checkpointer is not None:
            self._checkpointer.claim()
        self.single_pass.__enter__()
        try:
            with interrupts_allowed():
                self._source.open()
        except BaseException:
            self.__exit__()
            raise
        self._is_under_way = True
        return self

    def __exit__(self, *exc: object) -> None:
        self._source.close()
        self.single_pass.__exit__(*exc)

    def _check_first_block(self) -> None:
        """If the run continues from a checkpoint, run the first block again and compare it with the checkpoint.

        A block is the samples of one Gram matrix. This method opens the loader. Once the block has passed the check,
        later calls do nothing.

        Raises:
            AnotherRunError: the numbers of the block differ from those in the checkpoint; `FirstBlock.check` explains
                which differences are accepted.
        """
        if self._first_block is None:
            return
        with self._source.random_state_kept_on_error(), self._first_block, interrupts_allowed():
            self._source.open(self._first_block)
        self._first_block = None

    def release(self) -> None:
        """Remove the checkpoint file if this run created it and has saved no state in it.

        Called at the end of the run and after a failure.
        """
        if self._checkpointer is not None:
            self._checkpointer.release()

    def step(self) -> bool:
        """Process the next batch of the loader.

        If the previous call failed before its batch was completed, this call continues with that batch.

        Returns:
            False if the loader has no more batches, True otherwise.
        """
        begun = time.monotonic()
        try:
            batch = self._source.next()
        except StopIteration:
            return False
        try:
            with interrupts_held(), torch.no_grad(), interrupts_allowed():
                self.single_pass.step(batch)
        except Exception as error:
            if is_out_of_memory(error) and self.single_pass.tried:
                add_place(error, out_of_memory_advice(self.single_pass.tried, self._options_as_given))
            raise
        finally:
            if self.single_pass.n_batches > self._source.n_done:
                self._source.advance()
        self.seconds += time.monotonic() - begun
        return True

    def has_enough(self) -> bool:
        """Return whether the run has reached one of its limits (`Limits`). Store this limit, or None, in `ended_by`."""
        single_pass = self.single_pass
        self.ended_by = self._limits.reached(single_pass.n_batches, single_pass.n_seen, self.seconds)
        looks = self.ended_by is None and self._errors.is_time(single_pass.n_grams)
        if looks and self._errors.look(self._queries.result(single_pass.freeze()), single_pass.n_grams):
            self.ended_by = f"until={self._limits.until!r}"
        return self.ended_by is not None

    def finish(self, for_good: bool) -> None:
        """Add waiting samples to the sums, and write a checkpoint.

        Samples wait if they are to be joined with later batches into one Gram matrix.

        Args:
            for_good: True if no more batches can follow. If False, no checkpoint is written if samples were waiting,
                because a resumed run must join these samples with later batches.
        """
        self.save(now=True)  # does nothing if samples wait for others to be joined with
        if not self.single_pass.is_whole:
            self.single_pass.finish()
            if for_good:
                self.save(now=True)

    def locate(self, error: BaseException) -> None:
        """Add the number of the present batch to an error, if the run has begun to process batches."""
        if self._is_under_way:
            add_place(error, f"in batch {self.single_pass.n_batches} of the loader")

    @property
    def n_batches_needed(self) -> int | None:
        """Estimated number of batches after which `max_samples`, `max_seconds` or `until` ends the run.

        None if this number is unknown.
        """
        single_pass = self.single_pass
        return self._limits.batches_needed(
            single_pass.n_batches, single_pass.n_seen, self.seconds, self._errors.n_batches_needed
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the result: about the loader, and about a checkpoint that could not be written."""
        written = () if self._checkpointer is None or self._checkpointer.note is None else (self._checkpointer.note,)
        return (*self._source.notes, *written)

    # --- to a file and back ------------------------------------------------------------------------------------------

    def save(self, now: bool = False) -> None:
        """Write a checkpoint if one is due or `now` is true.

        Do nothing if the run has no checkpoint file, if the sums are empty, or if samples wait to be added to the sums.
        """
        writer = self._checkpointer
        if writer is not None and self.single_pass.is_whole and self.single_pass.n_grams and (now or writer.is_time()):
            writer.write(self._content)

    def restore(self, checkpoint: Checkpoint, path: str | PathLike[str], seconds: float) -> None:
        """Set this run to the state in `checkpoint`, to continue from there. Call this before the context is opened.

        Later checkpoints are written to `path`: at each pause, at the end of the run, and otherwise at intervals of at
        least `seconds` seconds.

        Raises:
            AnotherRunError: the checkpoint belongs to another run; the message says what differs.
            ValueError: the checkpoint is damaged.
        """
        self._who.check(checkpoint.header["about"])
        self.single_pass.restore(checkpoint.header["pass"], checkpoint.arrays)
        place = {n.removeprefix("source/"): one for n, one in checkpoint.arrays.items() if n.startswith("source/")}
        self._write_to(path, seconds, checkpoint.owner)
        self._source.start_from(LoaderState.from_arrays(self.single_pass.n_batches, place))
        run = checkpoint.header["run"]
        self._first_block = self.single_pass.first_block(run.get("devices") == self._device_names)
        if isinstance(run.get("seconds"), int | float):
            self.seconds = float(run["seconds"])
            self.started = None if run.get("started") is None else str(run["started"])

    def _write_to(self, path: str | PathLike[str], seconds: float, taken_from: str | None = None) -> None:
        self._checkpointer = Checkpointer(path, seconds, taken_from)
        self._source.records_hashes = True

    @property
    def _who(self) -> Identity:
        if self._identity is None:  # made on demand, since it reads all weights
            self._identity = self._identify()
        return self._identity

    def _content(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the header (JSON values) and the named tensors of a checkpoint of the present state."""
        facts, arrays = self.single_pass.state()
        run = {"seconds": self.seconds, "started": self.started, "devices": self._device_names}
        header = {"about": self._who.about, "given": self._who.given, "pass": facts, "run": run}
        return header, {**arrays, **{f"source/{name}": one for name, one in self._source.state.arrays().items()}}
