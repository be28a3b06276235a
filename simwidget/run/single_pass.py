"""`SinglePass`: one pass over the data, which computes Gram matrices batch by batch and sums their products.

The samples of one Gram matrix are called a block. Small batches are joined into one block.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from simwidget.capture.probe import ProbeNeededError
from simwidget.data.batch import Batch
from simwidget.data.sample_collector import SampleCollector
from simwidget.data.splitting import take_samples
from simwidget.estimate.pass_state import PassState
from simwidget.estimate.totals import Totals
from simwidget.files.fields import MalformedError, get_int
from simwidget.gram.gram_batch import GramBatch, Grams
from simwidget.inspection.inspector import Inspector
from simwidget.inspection.latest_block import LatestBlock
from simwidget.plan.options import Plan
from simwidget.plan.out_of_memory import is_out_of_memory
from simwidget.restore.interrupts import interrupts_held
from simwidget.run.block_numbers import BlockNumbers
from simwidget.run.first_block import FirstBlock
from simwidget.run.forward_passes import ForwardPasses
from simwidget.run.memory_check import MemoryCheck
from simwidget.run.notes import Notes
from simwidget.run.pass_facts import pass_facts
from simwidget.run.receiver import Receiver, Representation
from simwidget.run.row_table import RowTable
from simwidget.run.unreached_inputs import explain_never_run

GRAM_BYTES = 64 * 2**20
"""The largest size in bytes of the Gram matrices that are stored for the latest block.

Larger Gram matrices are cut to the first samples of the block.
"""


class SinglePass(AbstractContextManager):
    """Passes one batch through the networks in each `step`, and adds the products of Gram matrices to the sums.

    A block is the samples of one Gram matrix: those of one batch, or of several small batches that are joined. Use a
    `SinglePass` as a context manager: the networks have forward hooks while the context is open. `freeze` may be called
    from any thread.
    """

    def __init__(self, plan: Plan) -> None:
        self.models = plan.models
        self._plan = plan
        self._networks = plan.networks
        # MPS has no float64, so the sums are on the CPU there
        self._state_device = torch.device("cpu") if plan.device.type == "mps" else plan.device
        self._totals = Totals(tuple(dict.fromkeys(measure.rows for measure in plan.measures)))
        self._rows = RowTable(plan)
        self._grams = GramBatch(plan.grams, self._rows.index, self._state_device, self._rows.n_expected)
        self._pending: Grams | None = None
        """the Gram matrices of a complete block that is not in the sums yet; None if there is no such block"""
        self._taken = 0
        """number of samples of the present batch that have passed through the networks"""
        self._at_once: int | None = None
        """the largest number of samples in a forward pass; None until a forward pass has run out of memory"""
        self.tried = 0
        """number of samples in the latest forward pass, whether or not this pass failed"""
        self._samples = SampleCollector()
        self._notes = Notes(self._totals.min_samples)
        for sentence in plan.notes:
            self._notes.say(sentence, sentence)
        self._lock = threading.Lock()
        self.inspector = Inspector(self._rows.index, self._lock)
        self._forwards = ForwardPasses(plan, self._notes)
        note = partial(self._notes.replace, "memory")
        self._memory = MemoryCheck(self._rows, self._totals, plan.grams.gram_batch, self._state_device, note)
        self.n_batches = 0
        self._first: BlockNumbers | None = None
        """numbers computed from the first block in the sums; None while the sums are empty"""
        self.n_grams = 0
        self.n_samples = 0

    # --- the way of a batch ------------------------------------------------------------------------------------------

    def use_own_random_stream(self) -> None:
        """Give each network a random stream of its own; call this before the context is opened."""
        self._forwards.random.use_own()

    def __enter__(self) -> "SinglePass":
        self._forwards.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._forwards.__exit__(*exc)

    @torch.no_grad()
    def step(self, raw: Any) -> None:
        """Pass one batch of the loader through all networks, and add each completed block to the sums.

        After a failed call, compare `n_batches` with its value before the call:
        - If `n_batches` has not increased, call `step` again with the same batch. The new call continues with the first
          sample that has not passed through the networks.
        - If `n_batches` has increased, continue with the next batch. The next call of `step` or `finish` first adds the
          completed block to the sums.
        """
        self._accumulate()
        batch, batches = self._forwards.split(raw, self.n_batches)
        while self._taken < batch.n:
            n = min(self._at_once or batch.n, batch.n - self._taken)
            parts = batch, batches
            if n < batch.n:
                part = take_samples(raw, batch, slice(self._taken, self._taken + n))
                parts = self._forwards.split(part, self.n_batches)
            try:
                self._forward(*parts)
            except ProbeNeededError:  # from now on it is known where outputs have their samples
                continue
            except Exception as error:
                cannot_halve = not self._plan.auto_batch or n < 2 * self._totals.min_samples
                if cannot_halve or not is_out_of_memory(error):
                    raise
                self._at_once = (n + 1) // 2
                self._notes.say("parts", f"batches of {n} samples did not fit into memory: smaller parts ran instead")
                self.drop_scratch()
                continue
            self._taken += n
            if self._taken < batch.n:
                self._accumulate()
        with self._lock:
            self._notes.labels(batch.labels)
            if batch.n == 0:
                self._notes.skipped(0)
        self._taken = 0
        self.n_batches += 1
        self._accumulate()

    def _forward(self, batch: Batch, batches: Sequence[Batch]) -> None:
        """Pass a batch through all networks. If a block is then complete, store its Gram matrices in `_pending`.

        Args:
            batch: a batch, or a part of it if the batch is processed in parts.
            batches: the same samples for each network, as `split` returned them.
        """
        self.tried = batch.n
        self._samples.open(batch)
        try:
            receiver = Receiver(self._open, self._take, self._rows.add_missing)
            which = self._forwards.run(batch, batches, self.n_batches, receiver)
        except BaseException:
            self._grams.abandon()
            self._samples.abandon()
            raise
        if not self._totals:
            self._fix_rows(batches)
        self._samples.close(make_thumbnails=self.inspector.is_following, sample_of_position=which)
        if self._grams.close():
            self._pending = self._grams.take()

    @torch.no_grad()
    def finish(self) -> None:
        """Add the samples that are not in the sums yet; the last block may have fewer than `gram_batch` samples."""
        self._accumulate()
        if self._grams.n_samples:
            self._pending = self._grams.take()
            self._accumulate()

    @property
    def n_seen(self) -> int:
        """The number of samples that are in the sums or wait to be added to the sums."""
        return self.n_samples + self._grams.n_samples + (0 if self._pending is None else self._pending.n)

    @property
    def warned(self) -> tuple[str, ...]:
        """The messages that the run has already issued as warnings."""
        return self._memory.warned

    @property
    def _n_begun(self) -> int:
        """The number of batches that have passed through the networks completely or in part."""
        return self.n_batches + (self._taken > 0)

    @property
    def is_whole(self) -> bool:
        """Whether no batch is partly processed and no sample waits to be added to the sums."""
        return self._pending is None and not self._grams.n_samples and not self._taken

    def drop_scratch(self) -> None:
        """Free buffers that the next batch allocates again, and the unused memory of PyTorch's CUDA allocator."""
        self._grams.drop_scratch()
        for device in {network.device for network in self._networks}:
            if device.type == "cuda":
                torch.cuda.empty_cache()

    def _open(self, n: int) -> None:
        self._grams.open(n)
        if not self._totals:
            self._memory.begin(n)

    def _take(self, one: Representation) -> None:
        if not self._rows.add_representation(one.key, one.x, one.repeats_child):
            with self._lock:
                self._notes.late(one.key, self.n_batches)
            return
        if not self._totals:
            self._memory.add(one.x, is_new=one.original is None)
        self._grams.put(one.key, one.x, one.original, one.kernel)

    def _fix_rows(self, batches: Sequence[Batch]) -> None:
        """Complete the table of rows and allocate the sums; called after the first forward passes.

        Args:
            batches: for each network, the batch of its first forward pass.
        """
        why = explain_never_run(self._rows.never_run(), self._networks, batches, self._notes)
        self._rows.add_never_run(why)
        self._memory.check()
        for who, name in self._forwards.written().items():
            note = f"the forward pass of {who!r} writes into its own parameter {name!r}, and that is not undone"
            self._notes.say(f"written {who}", note)
        with self._lock:
            self._rows.fix()
            self._totals.allocate(len(self._rows), self._state_device)

    def _accumulate(self) -> None:
        """Add the block in `_pending` to the sums, or count the block as skipped if it has too few samples."""
        grams = self._pending
        if grams is None:
            return
        n, stack = grams.n, grams.stack
        if n < self._totals.min_samples:
            self._notes.skipped(n)
            self._samples.drop()
            self._pending = None
            return
        self._rows.note_absent(grams.present, self._n_begun - 1)
        addition = self._totals.compute_addition(grams, len(self._plan.confounders))
        first = self._first or BlockNumbers.of(stack)
        latest = LatestBlock(stack, self._samples.take())
        with interrupts_held(), self._lock:
            self._totals.add(addition, self.n_grams, self._n_begun)
            self._pending = None
            self._first = first
            self.n_grams += 1
            self.n_samples += n
            self._notes.gram(n)
            self.inspector.add(latest, GRAM_BYTES)

    # --- to a file and back ------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the state of the pass as JSON values and named tensors, for `restore`.

        Requires that `is_whole` is true and that a block is in the sums.
        """
        assert self.is_whole
        assert self._first is not None
        with self._lock:
            stand_in = self._forwards.confounders.stand_in
            facts = {
                **self._rows.state(),
                "n_batches": self.n_batches,
                "n_grams": self.n_grams,
                "n_samples": self.n_samples,
                "n_given": self._samples.n_seen,
                "notes": self._notes.state(),
                "outputs": self._forwards.finder.state(),
                "choices": [[*key, choice] for key, choice in self._forwards.choices.items()],
                "not_passed": [*self._forwards.inputs.not_passed.items()],
                "stand_in": None if stand_in is None else [stand_in.name, *(stand_in.layer or ())],
            }
            return facts, {**self._totals.arrays(), **self._forwards.random.arrays(), **self._first.arrays()}

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> None:
        """Continue from `facts` and `arrays`, which `state` returned in an earlier pass with the same plan.

        Raises:
            MalformedError: `facts` and `arrays` are not the state of a pass with this plan.
        """
        try:
            self._rows.restore(facts)
            self._totals.allocate(len(self._rows), self._state_device)
            self._totals.restore(arrays)
            self._first = BlockNumbers.from_arrays(arrays, len(self._rows))
            self._forwards.random.restore(arrays)
            self._notes.restore(facts["notes"])
            self._forwards.finder.restore(facts["outputs"], self._rows.known)
            self._forwards.choices.update({self._rows.known(one[:2]): str(one[2]) for one in facts["choices"]})
            self._forwards.inputs.not_passed.update(
                {int(one): [*map(str, paths)] for one, paths in facts["not_passed"]}
            )
            name, *layer = facts["stand_in"] or ["", ""]
            named = ((one, own) for one in self._plan.confounders for own in one.layers)
            fitting = (replace(one, layer=own) for one, own in named if [one.name, *own] == [name, *layer])
            self._forwards.confounders.stand_in = next(fitting, None)
            self.n_batches, self.n_grams, self.n_samples, self._samples.n_seen = (
                get_int(facts, name) for name in ("n_batches", "n_grams", "n_samples", "n_given")
            )
        except MalformedError:
            raise
        except (KeyError, TypeError, AttributeError, OverflowError, ValueError) as problem:
            raise MalformedError(f"it is not the state of a run ({type(problem).__name__}: {problem})") from problem

    def first_block(self, same_devices: bool) -> FirstBlock:
        """Return a `FirstBlock`, which runs the first block again and compares it with the restored checkpoint.

        Call this after `restore`. `same_devices` says whether the run that wrote the checkpoint had the same kinds of
        devices as this run.
        """
        assert self._first is not None
        own = self._forwards.random.has_own
        found = self._forwards.finder.state()
        return FirstBlock(self._plan, self._rows, found, self._first, self._totals.min_samples, own, same_devices)

    # --- from any thread ---------------------------------------------------------------------------------------------

    def freeze(self, sums: bool = True) -> PassState:
        """Return a snapshot of the pass. Later batches do not change the snapshot.

        With `sums=False` the snapshot does not contain the sums, which makes the call cheap.
        """
        with self._lock:
            return PassState(
                sums=self._totals.sums() if sums else {},
                undefined=self._totals.undefined(),
                rows=self._rows.copies(),
                layers=self._rows.layers(),
                n_batches=self.n_batches,
                n_samples=self.n_samples,
                notes=self._notes.notes(),
                history=self._totals.history(),
                latest=self.inspector.latest,
                watched=self.inspector.extremes(),
                facts=pass_facts(self._plan, self._rows, self._forwards) if self._totals else {},
            )
