"""One pass: batches in, sums of products out. What happens to a batch stands here from top to bottom."""

import threading
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

import torch
from torch import Tensor

from simwidget.accumulators import GramAccumulator
from simwidget.agreement import Watch
from simwidget.forwards import Forwards, Representation, Takers
from simwidget.frozen import Frozen, Pair, Row
from simwidget.grams import GramBatch, Grams, Key
from simwidget.history import History
from simwidget.latest import Latest
from simwidget.memory import estimate_memory, free_memory, warning
from simwidget.options import Plan
from simwidget.remarks import Remarks
from simwidget.rows import RowMap, UnitRows
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
        self._rows: list[Row] = []
        self._index: dict[Key, int] = {}
        self._grams = GramBatch(plan.gram_batch, self._index, self._state_device, plan.precision)
        self._accumulators: dict[RowMap, GramAccumulator] = {}
        self._undefined: dict[RowMap, tuple[Tensor, Tensor]] = {}
        self._history: dict[RowMap, History] = {}
        self._samples = SampleBatch()
        self._latest: Latest | None = None
        self._watched: dict[Pair, Watch] = {}
        self._remarks = Remarks(self._min_samples)
        self._lock = threading.Lock()
        self._forwards = Forwards(plan, self._remarks)
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

    def draw_apart(self) -> None:
        """Before it is opened: let networks that draw random numbers draw them from streams of their own."""
        self._forwards.private_random = True

    def __enter__(self) -> "Stream":
        self._forwards.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._forwards.__exit__(*exc)

    @torch.no_grad()
    def step(self, raw: Any) -> None:
        """Take one batch of the loader through all networks and into the sums."""
        batch, batches = self._forwards.split(raw, self.n_batches)
        with self._lock:
            self._remarks.labels(batch.labels)
            if batch.n == 0:
                self._remarks.skipped(0)
        if batch.n == 0:
            self.n_batches += 1
            return
        self._samples.open(batch)
        try:
            takers = Takers(self._grams.open, self._take, self._lose)
            which = self._forwards.run(batch, batches, self.n_batches, takers)
        except BaseException:
            self._grams.abandon()
            raise
        if not self._accumulators:
            self._fix_rows()
        self._samples.close(develop=bool(self._watched), which=which)
        full = self._grams.close()
        if full:
            self._accumulate(self.n_batches + 1)
        self.n_batches += 1

    @torch.no_grad()
    def finish(self) -> None:
        """Take what is still waiting to be joined into the sums."""
        if self._grams.n_samples:
            self._accumulate(self.n_batches)

    def _take(self, one: Representation) -> None:
        key = one.key
        if key not in self._index:
            if self._accumulators:
                with self._lock:
                    self._remarks.late(key, self.n_batches)
                return
            self._register(Row(key))
        row = self._rows[self._index[key]]
        if not row.dtype:
            row.n_features, row.dtype = one.x.shape[1], str(one.x.dtype).removeprefix("torch.")
            row.reduced = one.x.dtype.itemsize < 4 or (self._plan.precision != "highest" and row.dtype == "float32")
        if not self._accumulators:
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
        for who, name in self._forwards.written().items():
            self._remarks.say(
                f"written {who}", f"the forward pass of {who!r} itself writes into {name!r}, which is not put back"
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
        per_batch = any(isinstance(row_map, UnitRows) for row_map in self._row_maps)  # they work in float64
        wide = per_batch or any(row.dtype == "float64" for row in self._rows)
        need = estimate_memory(
            len(self._rows),
            n,
            n_row_maps=len(self._row_maps),
            waiting=int(self._waiting * (n - here) / here),
            joins=here < self._plan.gram_batch,
            itemsize=8 if wide else 4,
        )
        problem = warning(need, free_memory(self._state_device), len(self._rows), n)
        if problem is not None:
            self._remarks.say("memory", problem)
            self.warned = (problem,)
            warnings.warn(problem, stacklevel=2)

    def _accumulate(self, n_batches: int) -> None:
        """Take the joined Gram matrices into the sums, which then hold this many batches of the loader."""
        grams = self._grams.take()
        n, stack = grams.n, grams.stack
        if n < self._min_samples:
            self._remarks.skipped(n)
            self._samples.drop()
            return
        self._say_what_is_missing(grams)
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

    def _say_what_is_missing(self, grams: Grams) -> None:
        for row in self._rows:
            if row.missing is None and row.key not in grams.present:
                row.missing = f"did not run in every forward pass (batch {self.n_batches})"

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
