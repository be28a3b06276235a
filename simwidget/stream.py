"""One pass: batches in, sums of products out. What happens to a batch stands here from top to bottom."""

import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from simwidget.accumulators import GramAccumulator
from simwidget.agreement import Watch
from simwidget.batches import Batch, split
from simwidget.capture import Capture
from simwidget.confounders import Confounder
from simwidget.frozen import Frozen, Pair, Row
from simwidget.grams import GramBatch, Key
from simwidget.history import History
from simwidget.kernels import linear_gram, same_class_gram
from simwidget.latest import Latest
from simwidget.masks import NO_MASKS
from simwidget.memory import estimate_memory, free_memory, warning
from simwidget.options import Plan
from simwidget.outputs import RepresentationError
from simwidget.positions import Positions
from simwidget.remarks import Remarks
from simwidget.representations import Reading, Surroundings, flatten
from simwidget.rows import RowMap
from simwidget.samples import SampleBatch
from simwidget.similarity_model import SimilarityModel

GRAM_BYTES = 64 * 2**20
"""Bytes that the latest batch's Gram matrices may take; of larger ones the first samples are kept."""
NEVER_RAN = "never ran"
MOST_WATCHED = 4
"""Pairs of layers whose samples are compared batch by batch."""


class Stream(AbstractContextManager):
    """Models, confounders and measures joined to accumulators; `step` takes one batch of the loader.

    Open it as a context while batches flow: hooks exist only then. `freeze` may be called from any thread.
    """

    def __init__(self, plan: Plan) -> None:
        self.models = plan.models
        self._plan = plan
        self._networks = plan.networks
        # some accelerators have no float64: their sums live on the CPU
        self._state_device = torch.device("cpu") if plan.device.type == "mps" else plan.device
        self._row_maps = tuple(dict.fromkeys(measure.rows for measure in plan.measures))
        self._min_samples = max(row_map.min_samples for row_map in self._row_maps)
        self._grams = GramBatch(plan.gram_batch, linear_gram)
        self._rows: list[Row] = []
        self._index: dict[Key, int] = {}
        self._accumulators: dict[RowMap, GramAccumulator] = {}
        self._undefined: dict[RowMap, tuple[Tensor, Tensor]] = {}
        self._history: dict[RowMap, History] = {}
        self._samples = SampleBatch()
        self._latest: Latest | None = None
        self._watched: dict[Pair, Watch] = {}
        self._remarks = Remarks(self._min_samples)
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._captures: list[Capture] = []
        self._dims: dict[Key, int] = {}
        self._waiting = 0
        self._stand_ins: dict[str, Confounder] = {}
        self._around: Surroundings | None = None
        self.n_batches = 0
        self.n_grams = 0
        self.n_samples = 0
        self.warned: tuple[str, ...] = ()
        """notes that were too urgent to wait for the end"""
        for confounder in plan.confounders:
            self._register(Row(("confounder", confounder.name)))

    # --- the way of a batch ------------------------------------------------------------------------------------------

    def __enter__(self) -> "Stream":
        with ExitStack() as stack:
            for position, one in enumerate(self._networks):
                capture = Capture(one.module, one.model, one.names, one.device, one.calling, self._sink(position))
                self._captures.append(stack.enter_context(capture))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._captures.clear()
        self._open.close()

    def step(self, raw: Any) -> None:
        """Take one batch of the loader through all networks and into the sums."""
        batch, batches = self._split(raw)
        with self._lock:
            self._remarks.labels(batch.labels)
            if batch.n == 0:
                self._remarks.skipped(0)
        if batch.n == 0:
            self.n_batches += 1
            return
        self._batch = batch
        positions = self._positions = self._new_positions(batch, batches)
        if positions is None:
            self._grams.open(batch.n)
        self._samples.open(batch)
        try:
            if positions is None:
                self._put_confounders()  # what is wrong with them shows before anything is computed
            for capture, network, own in zip(self._captures, self._networks, batches, strict=True):
                self._previous: tuple[Key, Reading] | None = None
                self._around = Surroundings(batch.n, own.masks.to(network.device), positions)
                capture.forward(own)
            which = None if positions is None else positions.settled()
            if which is not None:
                self._put_confounders()
            self._check_confounders()
        except BaseException:
            self._grams.abandon()
            raise
        finally:
            del self._batch, self._positions
            self._around = None
        if not self._accumulators:
            self._fix_rows()
        self._samples.close(develop=bool(self._watched), which=which)
        full = self._grams.close()
        if full:
            self._accumulate(self.n_batches + 1)
        self.n_batches += 1

    def finish(self) -> None:
        """Take what is still waiting to be joined into the sums."""
        if self._grams.n_samples:
            self._accumulate(self.n_batches)

    def _split(self, raw: Any) -> tuple[Batch, list[Batch]]:
        """The batch as the loader gave it, and what each network takes of it."""
        batches = [network.take(raw, self.n_batches) for network in self._networks]
        first = batches[0]
        for network, batch in zip(self._networks, batches, strict=True):
            if batch.n != first.n:
                raise ValueError(
                    f"batch {self.n_batches} has {first.n} samples for model {self._networks[0].model!r} and {batch.n} "
                    f"for {network.model!r}: inputs= must keep all samples in their order, and batch_dim= must say "
                    "where they are"
                )
        whole = first
        if self._networks[0].prepare is not None:
            with suppress(TypeError):  # what the loader gives may mean something to the user's function alone
                given = split(raw, self.n_batches)
                whole = given if given.n == first.n and given.tensor is not None else first.with_labels(given.labels)
        for batch in batches:
            whole = whole.with_labels(batch.labels)
        return replace(whole, whole=raw), batches

    def _new_positions(self, whole: Batch, batches: Sequence[Batch]) -> Positions | None:
        if not self._plan.by_position:
            return None
        masks = next((batch.masks for batch in batches if batch.masks.any), NO_MASKS)
        plan = self._plan
        return Positions(whole.n, masks, plan.positions, plan.seed, self.n_batches, self._grams.open)

    def _sink(self, position: int) -> Callable[[str, Any], None]:
        network = self._networks[position]
        removed: dict[str, list[Confounder]] = {}
        for confounder in self._plan.confounders:
            if confounder.layer is not None and confounder.layer[0] in network.models:
                removed.setdefault(confounder.layer[1], []).append(confounder)
        chosen = {name for model in self.models if model.model_name in network.models for name in model.layer_names}

        def sink(call: str, output: Any) -> None:
            key, layer = (position, call), call.partition("#")[0]
            reading, previous = network.readings[layer], self._previous
            self._previous = None
            wanted = [one for one in removed.get(call, ()) if one.from_layer(self._batch)]
            if layer not in chosen and not wanted:
                return
            try:
                x, repeats = self._read(key, reading, output)
            except RepresentationError as problem:
                if wanted:
                    what = f"confounder {wanted[0].name!r}, layer {call!r}, batch {self.n_batches}"
                    raise ValueError(f"{what}: {problem}") from problem
                self._lose(key, str(problem))
                return
            except ValueError as problem:
                raise ValueError(f"layer {call!r}, batch {self.n_batches}: {problem}") from problem
            # the same tensor read in the same way has the same Gram matrix
            original = previous[0] if repeats and previous is not None and reading.reads_like(previous[1]) else None
            for one in wanted:
                if one.kind == "input":
                    self._remarks.say("tokens", one.note())
                    self._stand_ins[one.name] = one
                self._put(("confounder", one.name), x, original)
                original = original or ("confounder", one.name)
            if layer in chosen:
                if repeats and not self._accumulators and layer in network.containers:
                    network.repeating.add(call)
                self._put(key, x, original)
                self._previous = key, reading

        return sink

    def _read(self, key: Key, reading: Reading, output: Any) -> tuple[Tensor, bool]:
        """The representation of one layer's output, and whether it is of the same tensor as the one before."""
        around = self._around
        assert around is not None
        found = reading.output(output, around.n)
        repeats = around.latest.repeats(found.source)
        known = self._dims.setdefault(key, found.batch_dim)
        if known != found.batch_dim:
            raise RepresentationError(
                f"its samples lay in dimension {known} before, and in {found.batch_dim} in batch {self.n_batches}: say "
                "which with batch_dim="
            )
        self._remarks.read(reading, found, key[1], around.masks)
        return reading.represent(found, around), repeats

    def _put_confounders(self) -> None:
        """Those that come of the batch itself; where positions are samples, once these are settled."""
        batch, positions = self._batch, self._positions
        for confounder in self._plan.confounders:
            if confounder.from_layer(batch):
                continue
            values = confounder.values(batch).to(self._plan.device)
            if positions is not None:
                # images have their channels first, tokens their features last
                values = positions.spread(values, 1 if values.ndim > 3 else values.ndim - 1)
            kernel = same_class_gram if confounder.kind == "labels" else None
            self._put(("confounder", confounder.name), flatten(values), None, kernel)

    def _check_confounders(self) -> None:
        for confounder in self._plan.confounders:
            if not self._grams.has(("confounder", confounder.name)):
                layer = "" if confounder.layer is None else confounder.layer[1]
                raise ValueError(
                    f"confounder {confounder.name!r}, batch {self.n_batches}: layer {layer!r} did not run, so there is "
                    "nothing to remove; take another one"
                )

    def _put(self, key: Key, x: Tensor, original: Key | None, kernel: Callable[[Tensor], Tensor] | None = None) -> None:
        if key not in self._index:
            if self._accumulators:
                with self._lock:
                    self._remarks.late(key, self.n_batches)
                return
            self._register(Row(key))
        row = self._rows[self._index[key]]
        if not row.dtype:
            row.n_features, row.dtype = x.shape[1], str(x.dtype).removeprefix("torch.")
        if not self._accumulators and original is None:
            self._waiting += x.numel() * x.element_size()
        self._grams.put(key, x, original, kernel)

    def _register(self, row: Row) -> None:
        row.kind = self._kind_of(row.key)
        self._index[row.key] = len(self._rows)
        self._rows.append(row)

    def _kind_of(self, key: Key) -> str:
        position, call = key
        return "" if isinstance(position, str) else self._networks[position].kinds.get(call.partition("#")[0], "")

    def _lose(self, key: Key, reason: str) -> None:
        if key not in self._index:
            if self._accumulators:
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
        for network, capture in zip(self._networks, self._captures, strict=True):
            written = capture.written()
            if written:
                self._remarks.say(
                    f"written {network.model}",
                    f"the forward pass of {network.model!r} itself writes into {written[0]!r}, which is not put back",
                )
        n, device = len(self._rows), self._state_device
        with self._lock:
            for row_map in self._row_maps:
                never = torch.full((n,), -1, device=device)
                self._undefined[row_map] = (never, never.clone())
                self._accumulators[row_map] = GramAccumulator(n, row_map.factor, device)
                self._history[row_map] = History(n, device)

    def _check_memory(self) -> None:
        """Say at once when the state that is about to be made, and what waits to be joined, will hardly fit."""
        here = max(1, self._grams.n_samples + self._grams.incoming)
        n = max(here, self._plan.gram_batch)
        need = estimate_memory(
            len(self._rows),
            n,
            n_row_maps=len(self._row_maps),
            waiting=int(self._waiting * (n - here) / here),
            joins=here < self._plan.gram_batch,
        )
        problem = warning(need, free_memory(self._state_device), len(self._rows), n)
        if problem is not None:
            self._remarks.say("memory", problem)
            self.warned = (problem,)
            warnings.warn(problem, stacklevel=2)

    def _accumulate(self, n_batches: int) -> None:
        """Take the joined Gram matrices into the sums, which then hold this many batches of the loader."""
        n, grams = self._grams.take()
        if n < self._min_samples:
            self._remarks.skipped(n)
            self._samples.drop()
            return
        stack = self._stack(n, grams)
        finite = stack.diagonal(dim1=1, dim2=2).sum(1).isfinite()
        added = []
        for row_map in self._row_maps:
            rows = row_map(stack, len(self._plan.confounders))
            defined = rows.sum(1).isfinite()
            rows.masked_fill_(~defined[:, None], 0.0)
            added.append((row_map, rows, finite, defined))
        latest = Latest(stack, self._samples.take())
        with self._lock:
            for row_map, rows, finite, defined in added:
                self._accumulators[row_map].add(rows, row_map.weight(n), self.n_grams)
                if self._history[row_map].due():
                    self._history[row_map].keep(n_batches, *self._accumulators[row_map].total())
                for first, bad in zip(self._undefined[row_map], (~finite, ~defined), strict=True):
                    first.copy_(torch.where(bad & (first < 0), self.n_batches, first))
            self.n_grams += 1
            self.n_samples += n
            self._remarks.gram(n)
            # in one piece with becoming the latest batch: a pair that is asked for meets each batch once
            for watch in self._watched.values():
                watch.add(latest.extremes(self._index[watch.key_x], self._index[watch.key_y]))
            self._latest = latest.within(GRAM_BYTES)

    def _stack(self, n: int, grams: dict[Key, Tensor]) -> Tensor:
        """The Gram matrices of all rows (R, n, n); zeros for those that have none."""
        for row in self._rows:
            if row.key not in grams and row.missing is None:
                row.missing = f"did not run in every forward pass (batch {self.n_batches})"
        dtype = torch.float64 if any(gram.dtype == torch.float64 for gram in grams.values()) else torch.float32
        stack = torch.zeros(len(self._rows), n, n, dtype=dtype, device=self._state_device)
        for key, gram in grams.items():
            stack[self._index[key]] = gram
        return stack

    # --- from any thread ---------------------------------------------------------------------------------------------

    def watch(self, key_x: Key, key_y: Key) -> None:
        """Compare two layers sample by sample from now on, beginning with the latest batch.

        Of `MOST_WATCHED` pairs, the one that was not asked for longest goes.
        """
        pair = Pair((key_x, key_y))
        with self._lock:
            known = self._watched.pop(pair, None)
            watch = self._watched[pair] = known or Watch(key_x, key_y)
            for oldest in tuple(self._watched)[:-MOST_WATCHED]:
                del self._watched[oldest]
            latest = self._latest
        if known is None and latest is not None:
            extremes = latest.extremes(self._index[key_x], self._index[key_y])
            with self._lock:
                watch.add(extremes)

    def let_go(self) -> None:
        """Keep thumbnails of the latest batch instead of the loader's own tensors."""
        with self._lock, suppress(Exception):  # a display's trouble is not the run's
            if self._latest is not None:
                self._latest.develop()

    def freeze(self, sums: bool = True) -> Frozen:
        """A copy of the state that later batches do not change; without the sums it takes no time."""
        with self._lock:
            rows = self._rows if self._accumulators else self._expected_rows()
            return Frozen(
                sums={row_map: state.sums() for row_map, state in self._accumulators.items()} if sums else {},
                undefined={row_map: (a.clone(), b.clone()) for row_map, (a, b) in self._undefined.items()},
                rows=tuple(Row(**vars(row)) for row in rows),
                layers=tuple(self._layers_of(model, rows) for model in self.models),
                n_batches=self.n_batches,
                n_samples=self.n_samples,
                notes=self._remarks.notes(),
                history={row_map: history.moments for row_map, history in self._history.items()},
                latest=self._latest,
                watched={pair: watch.extremes for pair, watch in self._watched.items()},
                facts=self._facts() if self._accumulators else {},
            )

    def _facts(self) -> dict[str, Any]:
        """What the pass found out, for the provenance."""
        facts: dict[str, Any] = {"models": {}}
        for model in self.models:
            position = self._plan.network_of(model.model_name)
            network = self._networks[position]
            rows = [row for row in self._rows if row.key[0] == position and row.key[1] in model.layer_names]
            never = [row.key[1] for row in rows if row.missing == NEVER_RAN]
            turned = {row.key[1]: self._dims[row.key] for row in rows if self._dims.get(row.key)}
            facts["models"][model.model_name] = {
                "class": type(network.module).__name__,
                "device": str(network.device),
                **({"left_out_because_never_run": never} if never and model.chosen_by_default else {}),
                **({"batch_dim": turned} if turned else {}),
            }
        removed = {one.name: " of ".join(map(repr, one.layer[::-1])) for one in self._stand_ins.values() if one.layer}
        return {**facts, "input_stands_for": removed["input"]} if removed else facts

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
        chosen, repeating = set(model.layer_names), self._networks[position].repeating
        found = []
        for index, row in enumerate(rows):
            network, call = row.key
            asked_for = network == position and call.partition("#")[0] in chosen
            if asked_for and not (model.chosen_by_default and (call in repeating or row.missing == NEVER_RAN)):
                found.append(index)
        return tuple(found)
