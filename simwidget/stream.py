"""One pass: batches in, sums of products out. What happens to a batch stands here from top to bottom."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from simwidget.accumulators import GramAccumulator, Sums
from simwidget.agreement import Extremes, Watch
from simwidget.batches import Batch, ClassOrder, split
from simwidget.capture import Capture
from simwidget.confounders import Confounder, confounder_tensor
from simwidget.grams import GramBatch, Key
from simwidget.history import History, Moment
from simwidget.kernels import linear_gram
from simwidget.latest import Latest
from simwidget.layers import named_layers
from simwidget.measures.base import Measure
from simwidget.representations import Representation, RepresentationError, find_output, flatten, represent
from simwidget.rows import EXPLAINED, EXPLAINED_REDUCED, RowMap
from simwidget.samples import SampleBatch
from simwidget.similarity_model import SimilarityModel

FEW_SAMPLES = 16
"""A Gram matrix of fewer samples is right on average and useless in practice."""
GRAM_BYTES = 64 * 2**20
"""Bytes that the latest batch's Gram matrices may take; of larger ones the first samples are kept."""
MOST_WATCHED = 4
"""Pairs of layers whose samples are compared batch by batch."""

Pair = frozenset[Key]
"""Two layers, in no order: they agree on a sample as much as they do the other way round."""


@dataclass
class Row:
    """What is known of one row of the sums."""

    key: Key
    n_features: int = 0
    dtype: str = ""
    kind: str = ""
    """the class of the layer's module"""
    missing: str | None = None
    """why this layer has no numbers, as found on this side of the device"""


@dataclass(frozen=True)
class Frozen:
    """The pass at one moment; nothing in it changes any more."""

    sums: dict[RowMap, Sums]
    undefined: dict[RowMap, tuple[Tensor, Tensor]]
    """for each row the first batch in which it was not finite, and the first in which it was undefined; -1 for never"""
    rows: tuple[Row, ...]
    layers: tuple[tuple[int, ...], ...]
    """for each model the indices of its rows, in execution order"""
    n_batches: int
    n_samples: int
    notes: tuple[str, ...]
    history: dict[RowMap, tuple[Moment, ...]] = field(default_factory=dict)
    """what the sums were after some of the batches"""
    latest: Latest | None = None
    """the Gram matrices of the latest batch"""
    watched: dict[Pair, Extremes | None] = field(default_factory=dict)
    """on which samples the layers of the watched pairs agree least and most"""


@dataclass
class Network:
    """One network, however many models of the comparison it stands for."""

    module: nn.Module
    names: tuple[str, ...]
    kinds: Mapping[str, str]
    """for each layer the class of its module"""
    containers: frozenset[str]
    repeating: set[str] = field(default_factory=set)
    """calls of containers that merely returned what their last child gave"""


class Stream(AbstractContextManager):
    """Models, confounders and measures joined to accumulators; `step` takes one batch of the loader.

    Open it as a context while batches flow: hooks exist only then. `freeze` may be called from any thread.
    """

    def __init__(
        self,
        models: Sequence[SimilarityModel],
        measures: Sequence[Measure],
        confounders: Sequence[Confounder],
        representation: Representation,
        gram_batch: int,
        device: torch.device,
    ) -> None:
        self.models = tuple(models)
        self._networks = _networks(models)
        self._confounders = tuple(confounders)
        self._representation = representation
        self._device = device
        # some accelerators have no float64: their sums live on the CPU
        self._state_device = torch.device("cpu") if device.type == "mps" else device
        self._row_maps = tuple(dict.fromkeys(measure.rows for measure in measures))
        self._min_samples = max(row_map.min_samples for row_map in self._row_maps)
        self._grams = GramBatch(gram_batch, linear_gram)
        self._rows: list[Row] = []
        self._index: dict[Key, int] = {}
        self._accumulators: dict[RowMap, GramAccumulator] = {}
        self._undefined: dict[RowMap, tuple[Tensor, Tensor]] = {}
        self._history: dict[RowMap, History] = {}
        self._samples = SampleBatch()
        self._latest: Latest | None = None
        self._watched: dict[Pair, Watch] = {}
        self._order = ClassOrder()
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._captures: list[Capture] = []
        self._late: dict[Key, int] = {}
        self.n_batches = 0
        self.n_grams = 0
        self.n_samples = 0
        self._skipped_batches = 0
        self._skipped_samples = 0
        self._smallest_gram: int | None = None

    # --- the way of a batch ------------------------------------------------------------------------------------------

    def __enter__(self) -> "Stream":
        with ExitStack() as stack:
            for position, network in enumerate(self._networks):
                sink = self._sink(position)
                self._captures.append(stack.enter_context(Capture(network.module, network.names, self._device, sink)))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._captures.clear()
        self._open.close()

    def step(self, raw: Any) -> None:
        """Take one batch of the loader through all networks and into the sums."""
        batch = split(raw, self.n_batches)
        with self._lock:
            self._order.add(batch.labels)
        inputs = batch.inputs.to(self._device)
        self._batch = Batch(inputs, batch.labels, batch.whole)
        self._grams.open(batch.n)
        self._samples.open(batch)
        try:
            for name, confounder in self._confounders:
                self._put(("confounder", name), flatten(confounder_tensor(name, confounder, self._batch)), None)
            for capture in self._captures:
                self._previous_key: Key | None = None
                capture.forward(inputs.clone())  # a network may write into its input
        except BaseException:
            self._grams.abandon()
            raise
        finally:
            del self._batch
        if not self._accumulators:
            self._fix_rows()
        self._samples.close(develop=bool(self._watched))
        full = self._grams.close()
        if full:
            self._accumulate(self.n_batches + 1)
        self.n_batches += 1

    def finish(self) -> None:
        """Take what is still waiting to be joined into the sums."""
        if self._grams.n_samples:
            self._accumulate(self.n_batches)

    def _sink(self, position: int) -> Callable[[str, Any, bool], None]:
        network = self._networks[position]

        def sink(call: str, output: Any, repeats: bool) -> None:
            key = (position, call)
            try:
                tensor = find_output(output, self._batch.n)
                x = represent(tensor, self._representation, self._batch.n)
            except RepresentationError as problem:
                self._lose(key, str(problem))
                return
            except ValueError as problem:
                raise ValueError(f"layer {call!r}, batch {self.n_batches}: {problem}") from problem
            if repeats and not self._accumulators and call.partition("#")[0] in network.containers:
                network.repeating.add(call)
            self._put(key, x, self._previous_key if repeats else None)
            self._previous_key = key

        return sink

    def _put(self, key: Key, x: Tensor, original: Key | None) -> None:
        if key not in self._index:
            if self._accumulators:
                with self._lock:
                    self._late.setdefault(key, self.n_batches)
                return
            self._register(Row(key, x.shape[1], str(x.dtype).removeprefix("torch.")))
        self._grams.put(key, x, original)

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
        for position, network in enumerate(self._networks):
            for name in network.names:
                if (position, name) not in self._index:
                    self._register(Row((position, name), missing="never ran"))
        n, device = len(self._rows), self._state_device
        with self._lock:
            for row_map in self._row_maps:
                never = torch.full((n,), -1, device=device)
                self._undefined[row_map] = (never, never.clone())
                self._accumulators[row_map] = GramAccumulator(n, row_map.factor, device)
                self._history[row_map] = History(n, device)

    def _accumulate(self, n_batches: int) -> None:
        """Take the joined Gram matrices into the sums, which then hold this many batches of the loader."""
        n, grams = self._grams.take()
        if n < self._min_samples:
            self._skipped_batches += 1
            self._skipped_samples += n
            self._samples.drop()
            return
        stack = self._stack(n, grams)
        finite = stack.diagonal(dim1=1, dim2=2).sum(1).isfinite()
        added = []
        for row_map in self._row_maps:
            rows = row_map(stack, len(self._confounders))
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
            self._smallest_gram = min(n, self._smallest_gram or n)
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
                notes=self._notes(),
                history={row_map: history.moments for row_map, history in self._history.items()},
                latest=self._latest,
                watched={pair: watch.extremes for pair, watch in self._watched.items()},
            )

    def _expected_rows(self) -> list[Row]:
        """Before the first forward pass: the chosen layers in the order of their modules."""
        confounders = [Row(("confounder", name)) for name, _ in self._confounders]
        return confounders + [
            Row((i, name), kind=network.kinds[name])
            for i, network in enumerate(self._networks)
            for name in network.names
        ]

    def _layers_of(self, model: SimilarityModel, rows: Sequence[Row]) -> tuple[int, ...]:
        position = next(i for i, network in enumerate(self._networks) if network.module is model.model)
        chosen, repeating = set(model.layer_names), self._networks[position].repeating
        found = []
        for index, row in enumerate(rows):
            network, call = row.key
            asked_for = network == position and call.partition("#")[0] in chosen
            if asked_for and not (model.chosen_by_default and call in repeating):
                found.append(index)
        return tuple(found)

    def _notes(self) -> tuple[str, ...]:
        notes = [
            f"layer {call!r} ran for the first time, or once more than before, in batch {batch}: it is not compared"
            for (_, call), batch in self._late.items()
        ]
        order = self._order.note()
        if order:
            notes.append(order)
        if self._skipped_batches:
            notes.append(
                f"{self._skipped_samples} samples in {self._skipped_batches} batches were left out: a Gram matrix "
                f"needs {self._min_samples} samples"
            )
        if self._smallest_gram is not None and self._smallest_gram < FEW_SAMPLES and self.n_grams > 1:
            small = self.n_samples / self.n_grams
            if small < FEW_SAMPLES:
                notes.append(
                    f"a Gram matrix has {small:.0f} samples: under {FEW_SAMPLES} the numbers are right on average and "
                    "scatter widely; use a larger batch or gram_batch"
                )
        elif self._smallest_gram is not None and self._smallest_gram < FEW_SAMPLES:
            notes.append(f"all numbers rest on {self._smallest_gram} samples: under {FEW_SAMPLES} they scatter widely")
        return tuple(notes)


def tolerances(rows: Sequence[Row]) -> Tensor:
    """The share of each row's variance that must be left beside the confounders."""
    reduced = ("float16", "bfloat16")
    return torch.tensor([EXPLAINED_REDUCED if row.dtype in reduced else EXPLAINED for row in rows], dtype=torch.float64)


def _networks(models: Sequence[SimilarityModel]) -> list[Network]:
    """Each network once, with the layers that any of its models asks for."""
    names: dict[int, tuple[nn.Module, dict[str, None]]] = {}
    for model in models:
        names.setdefault(id(model.model), (model.model, {}))[1].update(dict.fromkeys(model.layer_names))
    networks = []
    for module, wanted in names.values():
        layers = named_layers(module)
        containers = (name for name, layer in layers.items() if next(layer.children(), None) is not None)
        kinds = {name: type(layers[name]).__name__ for name in wanted}
        networks.append(Network(module, tuple(wanted), kinds, frozenset(containers)))
    return networks
