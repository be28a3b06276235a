"""One pass: batches in, sums of products out. What happens to a batch stands here from top to bottom."""

import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

import torch
from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.samples import SampleBatch
from simwidget.data.splitting import take_samples
from simwidget.estimate.pass_state import Pair, PassState
from simwidget.estimate.totals import Totals
from simwidget.gram.blocks import GramBatch, Grams
from simwidget.gram.rows import Key, Row
from simwidget.inspection.agreement import Watch
from simwidget.inspection.latest_block import LatestBlock
from simwidget.plan.memory import bytes_free, estimate_memory, warning
from simwidget.plan.model import SimilarityModel
from simwidget.plan.options import Plan
from simwidget.run.forwards import Forwards, Representation, Takers
from simwidget.run.notes import Notes
from simwidget.text.untrusted import MalformedError, get_field, get_int, short_repr

GRAM_BYTES = 64 * 2**20
"""Bytes that the latest batch's Gram matrices may take; of larger ones the first samples are kept."""
NEVER_RAN = "never ran"
MAX_WATCHED = 4
"""Pairs of layers whose samples are compared batch by batch."""


class SinglePass(AbstractContextManager):
    """Models, confounders and measures joined to accumulators; `step` takes one batch of the loader.

    Open it as a context while batches flow: hooks exist only then. `freeze` may be called from any thread.
    """

    def __init__(self, plan: Plan) -> None:
        self.models = plan.models
        self._plan = plan
        self._networks = plan.networks
        # some accelerators have no float64: their sums live on the CPU
        self._state_device = torch.device("cpu") if plan.device.type == "mps" else plan.device
        self._totals = Totals(tuple(dict.fromkeys(measure.rows for measure in plan.measures)))
        self._rows: list[Row] = []
        self._index: dict[Key, int] = {}
        self._grams = GramBatch(plan.gram_batch, self._index, self._state_device, plan.precision)
        self._pending: Grams | None = None
        """joined, and not yet in the sums"""
        self._taken = 0
        """samples of the present batch that are through the networks"""
        self._at_once: int | None = None
        """samples that a forward pass takes at most, where more did not fit"""
        self.tried = 0
        """samples of the latest forward pass"""
        self._samples = SampleBatch()
        self._latest: LatestBlock | None = None
        self._watched: dict[Pair, Watch] = {}
        self._notes = Notes(self._totals.min_samples)
        self._lock = threading.Lock()
        self._forwards = Forwards(plan, self._notes)
        self._waiting = 0
        self._repeating: set[Key] = set()
        """calls of containers that merely returned what their last child gave"""
        self.n_batches = 0
        self.n_grams = 0
        self.n_samples = 0
        self.warned: tuple[str, ...] = ()
        """notes that were too urgent to wait for the end"""
        for confounder in plan.confounders:
            self._register(Row(("confounder", confounder.name)))

    # --- the way of a batch ------------------------------------------------------------------------------------------

    def use_own_random_stream(self) -> None:
        """Before it is opened: let networks that draw random numbers draw them from streams of their own."""
        self._forwards.use_own_random_stream()

    def __enter__(self) -> "SinglePass":
        self._forwards.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._forwards.__exit__(*exc)

    @torch.no_grad()
    def step(self, raw: Any) -> None:
        """Take one batch of the loader through all networks and into the sums.

        Where it fails the sums are those before it, and it may be tried again; once `n_batches` has counted it, it is
        through the networks, and the next step or `finish` takes it into the sums.
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
            except torch.OutOfMemoryError:
                if not self._plan.auto_batch or n < 2 * self._totals.min_samples:
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
        """Take a batch, or a part of one, through all networks; what they gave may then be due."""
        self.tried = batch.n
        self._samples.open(batch)
        try:
            takers = Takers(self._grams.open, self._take, self._lose)
            which = self._forwards.run(batch, batches, self.n_batches, takers)
        except BaseException:
            self._grams.abandon()
            self._samples.abandon()
            raise
        if not self._totals:
            self._fix_rows()
        self._samples.close(develop=bool(self._watched), which=which)
        if self._grams.close():
            self._pending = self._grams.take()

    @torch.no_grad()
    def finish(self) -> None:
        """Take what is still waiting to be joined into the sums."""
        self._accumulate()
        if self._grams.n_samples:
            self._pending = self._grams.take()
            self._accumulate()

    @property
    def n_seen(self) -> int:
        """Samples that went through the networks, those that wait to be joined too."""
        return self.n_samples + self._grams.n_samples + (0 if self._pending is None else self._pending.n)

    @property
    def _n_begun(self) -> int:
        """Batches that are through the networks, the one of which a part is through too."""
        return self.n_batches + (self._taken > 0)

    @property
    def is_whole(self) -> bool:
        """Whether all batches that are through the networks are in the sums."""
        return self._pending is None and not self._grams.n_samples and not self._taken

    def drop_scratch(self) -> None:
        """Give back the memory that nothing needs before the next batch."""
        self._grams.drop_scratch()
        for device in {network.device for network in self._networks}:
            if device.type == "cuda":
                torch.cuda.empty_cache()

    def _take(self, one: Representation) -> None:
        key = one.key
        if key not in self._index:
            if self._totals:
                with self._lock:
                    self._notes.late(key, self.n_batches)
                return
            self._register(Row(key))
        row = self._rows[self._index[key]]
        if not row.dtype:
            row.n_features, row.dtype = one.x.shape[1], str(one.x.dtype).removeprefix("torch.")
            row.reduced = one.x.dtype.itemsize < 4 or (self._plan.precision != "highest" and row.dtype == "float32")
        if not self._totals:
            if one.repeats_child:
                self._repeating.add(key)
            if one.original is None:
                self._waiting += one.x.numel() * one.x.element_size()
        self._grams.put(key, one.x, one.original, one.kernel)

    def _register(self, row: Row) -> None:
        row.kind = self._kind_of(row.key)
        self._index[row.key] = len(self._rows)
        self._rows.append(row)

    def _kind_of(self, key: Key) -> str:
        position, call = key
        return "" if isinstance(position, str) else self._networks[position].kinds.get(call.partition("#")[0], "")

    def _lose(self, key: Key, reason: str) -> None:
        if key not in self._index:
            if self._totals:
                return
            self._register(Row(key))
        row = self._rows[self._index[key]]
        row.missing = row.missing or reason

    def _fix_rows(self) -> None:
        """After the first forward passes: the rows in execution order, then the chosen layers that never ran."""
        for model in self.models:
            position = self._plan.network_of(model.model_name)
            for name in model.layer_names:
                if (position, name) not in self._index:
                    self._register(Row((position, name), missing=NEVER_RAN))
        self._check_memory()
        for who, name in self._forwards.written().items():
            self._notes.say(
                f"written {who}", f"the forward pass of {who!r} itself writes into {name!r}, which is not put back"
            )
        with self._lock:
            self._totals.allocate(len(self._rows), self._state_device)

    def _check_memory(self) -> None:
        """Say at once when the state that is about to be made, and what waits to be joined, will hardly fit."""
        here = max(1, self._grams.n_samples + self._grams.incoming)
        n = max(here, self._plan.gram_batch)
        wide = self._totals.uses_float64 or any(row.dtype == "float64" for row in self._rows)
        need = estimate_memory(
            len(self._rows),
            n,
            n_row_maps=len(self._totals.row_maps),
            waiting=int(self._waiting * (n - here) / here),
            joins=here < self._plan.gram_batch,
            itemsize=8 if wide else 4,
        )
        problem = warning(need, bytes_free(self._state_device), len(self._rows), n)
        if problem is not None:
            self._notes.say("memory", problem)
            self.warned = (problem,)
            warnings.warn(problem, stacklevel=2)

    def _accumulate(self) -> None:
        """Take the Gram matrices that are due into the sums."""
        grams = self._pending
        if grams is None:
            return
        n, stack = grams.n, grams.stack
        if n < self._totals.min_samples:
            self._notes.skipped(n)
            self._samples.drop()
            self._pending = None
            return
        self._say_what_is_missing(grams)
        addition = self._totals.compute_addition(stack, len(self._plan.confounders))
        latest = LatestBlock(stack, self._samples.take())
        with self._lock:
            self._totals.add(addition, self.n_grams, self._n_begun)
            self._pending = None
            self.n_grams += 1
            self.n_samples += n
            self._notes.gram(n)
            # in one piece with becoming the latest batch: a pair that is asked for meets each batch once
            for watch in self._watched.values():
                watch.add(latest.extremes(self._index[watch.key_x], self._index[watch.key_y]))
            self._latest = latest.within(GRAM_BYTES)

    def _say_what_is_missing(self, grams: Grams) -> None:
        for row in self._rows:
            if row.missing is None and row.key not in grams.present:
                row.missing = f"did not run in every forward pass (batch {self._n_begun - 1})"

    # --- to a file and back ------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs to go on from here: facts as JSON has them, and tensors. The pass must be whole."""
        assert self.is_whole
        with self._lock:
            stand_in = self._forwards.stand_in
            facts = {
                "rows": [{**vars(row), "key": list(row.key)} for row in self._rows],
                "n_batches": self.n_batches,
                "n_grams": self.n_grams,
                "n_samples": self.n_samples,
                "n_given": self._samples.n_given,
                "notes": self._notes.state(),
                "repeating": [list(key) for key in self._repeating],
                "batch_dims": [[*key, dim] for key, dim in self._forwards.batch_dims.items()],
                "stand_in": None if stand_in is None else stand_in.name,
            }
            return facts, {**self._totals.arrays(), **self._forwards.random_arrays()}

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> None:
        """Go on where another pass with this plan stood. Raises MalformedError for what is no state of one."""
        try:
            rows = [self._row_of(one) for one in get_field(facts, "rows", list)]
            expected = [row.key for row in self._rows]
            if [row.key for row in rows[: len(expected)]] != expected or len({row.key for row in rows}) < len(rows):
                raise MalformedError("its rows are not those of this run")
            self._rows[:] = rows
            self._index.clear()
            self._index.update({row.key: place for place, row in enumerate(rows)})
            self._totals.allocate(len(rows), self._state_device)
            self._totals.restore(arrays)
            self._forwards.restore_random(arrays)
            self._notes.restore(facts["notes"])
            self._repeating = {self._known(key) for key in facts["repeating"]}
            self._forwards.batch_dims.update({self._known(key): int(dim) for *key, dim in facts["batch_dims"]})
            named = (one for one in self._plan.confounders if one.name == facts["stand_in"])
            self._forwards.stand_in = next(named, None)
            self.n_batches, self.n_grams, self.n_samples, self._samples.n_given = (
                get_int(facts, name) for name in ("n_batches", "n_grams", "n_samples", "n_given")
            )
        except MalformedError:
            raise
        except (KeyError, TypeError, AttributeError, OverflowError, ValueError) as problem:
            raise MalformedError(f"it is not the state of a run ({type(problem).__name__}: {problem})") from problem

    def _row_of(self, given: Any) -> Row:
        missing = None if given["missing"] is None else get_field(given, "missing", str, "a row")
        return Row(
            self._known(given["key"]),
            get_int(given, "n_features", "a row"),
            get_field(given, "dtype", str, "a row"),
            get_field(given, "reduced", bool, "a row"),
            get_field(given, "kind", str, "a row"),
            missing,
        )

    def _known(self, key: Sequence[Any]) -> Key:
        """A key of this plan, of what a file has."""
        position, call = key
        if position == "confounder" and any(one.name == call for one in self._plan.confounders):
            return position, call
        layer = str(call).partition("#")[0]
        if (
            isinstance(position, int)
            and 0 <= position < len(self._networks)
            and layer in self._networks[position].names
        ):
            return position, str(call)
        raise MalformedError(f"it has a row of {short_repr(call)}, which this run does not")

    # --- from any thread ---------------------------------------------------------------------------------------------

    def watch(self, key_x: Key, key_y: Key) -> None:
        """Compare two layers sample by sample from now on, beginning with the latest batch.

        Of `MAX_WATCHED` pairs, the one that was not asked for longest goes.
        """
        pair = Pair((key_x, key_y))
        with self._lock:
            known = self._watched.pop(pair, None)
            watch = self._watched[pair] = known or Watch(key_x, key_y)
            for oldest in tuple(self._watched)[:-MAX_WATCHED]:
                del self._watched[oldest]
            latest = self._latest
        if known is None and latest is not None:
            extremes = latest.extremes(self._index[key_x], self._index[key_y])
            with self._lock:
                watch.add(extremes)

    def release(self) -> None:
        """Keep thumbnails of the latest batch instead of the loader's own tensors."""
        with self._lock, suppress(Exception):  # a display's trouble is not the run's
            if self._latest is not None:
                self._latest.develop()

    def freeze(self, sums: bool = True) -> PassState:
        """A copy of the state that later batches do not change; without the sums it takes no time."""
        with self._lock:
            rows = self._rows if self._totals else self._expected_rows()
            return PassState(
                sums=self._totals.sums() if sums else {},
                undefined=self._totals.undefined(),
                rows=tuple(Row(**vars(row)) for row in rows),
                layers=tuple(self._layers_of(model, rows) for model in self.models),
                n_batches=self.n_batches,
                n_samples=self.n_samples,
                notes=self._notes.notes(),
                history=self._totals.history(),
                latest=self._latest,
                watched={pair: watch.extremes for pair, watch in self._watched.items()},
                facts=self._facts() if self._totals else {},
            )

    def _facts(self) -> dict[str, Any]:
        """What the pass found out, for the provenance."""
        facts: dict[str, Any] = {"models": {}}
        dims, stand_in = self._forwards.batch_dims, self._forwards.stand_in
        for model in self.models:
            position = self._plan.network_of(model.model_name)
            network = self._networks[position]
            rows = [row for row in self._rows if row.key[0] == position and row.key[1] in model.layer_names]
            never = [row.key[1] for row in rows if row.missing == NEVER_RAN]
            turned = {row.key[1]: dims[row.key] for row in rows if dims.get(row.key)}
            facts["models"][model.model_name] = {
                "class": type(network.module).__name__,
                "device": str(network.device),
                "dtype": ", ".join(sorted({row.dtype for row in rows if row.dtype})),
                **({"left_out_because_never_run": never} if never and model.chosen_by_default else {}),
                **({"batch_dim": turned} if turned else {}),
            }
        if stand_in is not None and stand_in.layer is not None:
            facts["input_stands_for"] = " of ".join(map(repr, stand_in.layer[::-1]))
        return facts

    def _expected_rows(self) -> list[Row]:
        """Before the first forward pass: the chosen layers in the order of their modules."""
        layers = [
            Row((position, name), kind=self._networks[position].kinds[name])
            for position, name in dict.fromkeys(
                (self._plan.network_of(model.model_name), name) for model in self.models for name in model.layer_names
            )
        ]
        return [row for row in self._rows if row.key[0] == "confounder"] + layers

    def _layers_of(self, model: SimilarityModel, rows: Sequence[Row]) -> tuple[int, ...]:
        position = self._plan.network_of(model.model_name)
        chosen = set(model.layer_names)
        found = []
        for index, row in enumerate(rows):
            network, call = row.key
            asked_for = network == position and call.partition("#")[0] in chosen
            if asked_for and not (model.chosen_by_default and (row.key in self._repeating or row.missing == NEVER_RAN)):
                found.append(index)
        return tuple(found)
