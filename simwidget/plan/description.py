"""`describe`: runs one batch through a network and lists its layers, before anything is compared."""

from collections import Counter
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from torch import nn

from simwidget.capture.hooks import Capture
from simwidget.capture.layers import named_layers
from simwidget.capture.outputs import RepresentationError, UnclearFeaturesError
from simwidget.capture.positions import Positions
from simwidget.capture.probe import ProbeNeededError
from simwidget.capture.read_as import read_as
from simwidget.capture.reading import ReadingContext
from simwidget.capture.representation_option import RepresentationOption
from simwidget.capture.sample_finder import SampleFinder
from simwidget.capture.token_masks import TokenMasks
from simwidget.data.batch import Batch
from simwidget.plan.batch_order import settle_batch_dim
from simwidget.plan.batch_size import BatchSize
from simwidget.plan.memory import MemoryEstimate, bytes_free, estimate_memory, format_bytes, memory_warning
from simwidget.plan.networks import Network
from simwidget.plan.options import DeviceOption, ForwardOption, InputsOption, Options, Plan
from simwidget.plan.reading_options import BatchDim, MasksOption
from simwidget.plan.similarity_model import SimilarityModel
from simwidget.restore.interrupts import interrupts_held
from simwidget.restore.randomness import preserved_random_state

COLUMNS = ("layer", "module", "calls", "output", "dtype", "features", "chosen", "samples", "mask")
ALIGNMENTS = ("left", "left", "right", "left", "left", "right", "left", "left", "left")
WRAPPED = ("chosen", "samples", "mask")
"""The columns on a page whose texts may take several lines."""


@dataclass(frozen=True)
class LayerDescription:
    """One layer of a network in one forward pass: its output, its representation, and whether it is compared.

    If the layer runs several times, the output and the representation are those of the first call.
    """

    name: str
    module: str
    """class name of the layer's module"""
    calls: int
    """how often the layer runs in one forward pass; a result has one row for each call"""
    output: tuple[int, ...] | None
    """shape (n, ...) of the output tensor for n samples; None if the layer cannot be compared"""
    dtype: str
    n_features: int | None
    """p, the number of features of the layer's representation (n, p); None if the layer has no representation"""
    chosen: bool
    """whether the layer is compared: by default, or because the described `SimilarityModel` names it. False for a layer
    that did not run."""
    reason: str | None = None
    """the reason why the layer cannot be compared, such as "did not run"; None if the layer can be compared"""
    repeats: str | None = None
    """name of the earlier layer whose output tensor this layer returns unchanged; such a repeat is not compared by
    default. None for every layer that is not such a repeat."""
    samples: str = ""
    """which dimension of the output indexes the samples, and how it was found; empty if the layer cannot be compared"""
    mask: str = ""
    """which mask of the batch (which says which tokens are padding) was used, and how the mask was found

    See `ReadAs`. Empty if the representation needs no mask, or if no mask of the batch fits the layer.
    """

    def cells(self) -> tuple[str, ...]:
        """Return the layer's row of the printed table: one text for each of `COLUMNS`."""
        shape = "" if self.output is None else " × ".join(map(str, self.output))
        chosen = "yes" if self.chosen else ""
        if self.repeats is not None:
            inside = self.repeats.removeprefix(f"{self.name}.")
            chosen = f"same as {'its ' if inside != self.repeats else ''}{inside}"
        features = "none" if self.n_features is None else f"{self.n_features:,}"
        about = (self.samples, self.mask)
        return (self.name, self.module, str(self.calls), shape, self.dtype, features, chosen, *about)


@dataclass(frozen=True)
class Description:
    """The layers of one network, as `describe` found them by running one batch.

    The layers are in execution order; layers that did not run come last.
    """

    model: str
    n_samples: int
    layers: tuple[LayerDescription, ...]
    memory: MemoryEstimate
    """memory needed to compare the chosen layers by one measure, in addition to the model and its activations"""
    warning: str | None
    """a warning if the device has too little free memory for `memory`, else None"""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of the layers that are compared."""
        return tuple(layer.name for layer in self.layers if layer.chosen)

    def __getitem__(self, name: str) -> LayerDescription:
        """Return the description of the layer with this name; raise KeyError if there is no such layer."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def to_dataframe(self) -> Any:
        """Return the descriptions as a `pandas.DataFrame` with one row for each layer, indexed by the layers' names.

        Raises ImportError if pandas, which the extra "frames" installs, is missing.
        """
        try:
            import pandas
        except ImportError as problem:
            raise ImportError('to_dataframe needs pandas: pip install "simwidget[frames]"') from problem
        return pandas.DataFrame([vars(layer) for layer in self.layers]).set_index("name")

    def __str__(self) -> str:
        table = [COLUMNS, *(layer.cells() for layer in self.layers)]
        table = [row[: self._n_columns] for row in table]
        widths = [min(60, max(map(len, column))) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
        ]
        return "\n".join([self._title(), "", *lines, "", *self._ending()])

    __repr__ = __str__

    @property
    def _n_columns(self) -> int:
        """The number of columns in the table. The last column, "mask", is left out if it is empty for all layers."""
        return len(COLUMNS) - (not any(layer.mask for layer in self.layers))

    def _title(self) -> str:
        return f"{self.model}: {len(self.layers)} layers, {len(self.chosen)} of them chosen, {self.n_samples} samples"

    def _ending(self) -> list[str]:
        idle = [layer.name for layer in self.layers if layer.calls == 0]
        lines = [f"{layer.name}: {layer.reason}" for layer in self.layers if layer.reason and layer.calls]
        if idle:
            lines.append(f"did not run: {', '.join(idle[:6])}{', ...' if len(idle) > 6 else ''}")
        lines.append(f"comparing the chosen layers takes about {format_bytes(self.memory.total)} beside the model")
        return lines if self.warning is None else [*lines, self.warning]

    def _repr_html_(self) -> str:
        columns = tuple(zip(COLUMNS, ALIGNMENTS, strict=True))[: self._n_columns]
        head = "".join(f'<th style="text-align:{side}">{name}</th>' for name, side in columns)
        rows = []
        for layer in self.layers:
            weight = "" if layer.chosen else ";opacity:.6"
            cells = "".join(
                f'<td style="text-align:{side};white-space:{"normal" if column in WRAPPED else "nowrap"}{weight}">'
                f"{escape(cell)}</td>"
                for cell, (column, side) in zip(layer.cells(), columns, strict=False)
            )
            rows.append(f"<tr>{cells}</tr>")
        ending = "".join(f"<p>{escape(line)}</p>" for line in self._ending())
        return (
            f"<p><b>{escape(self._title())}</b></p>"
            f'<div style="max-height:480px;overflow:auto"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>{ending}"
        )


def describe(
    model: nn.Module | SimilarityModel,
    batch: Any,
    *,
    representation: RepresentationOption = "flatten",
    forward: ForwardOption = None,
    inputs: InputsOption = None,
    batch_dim: BatchDim = None,
    masks: MasksOption = None,
    batch_size: BatchSize | None = None,
    device: DeviceOption = None,
    gram_batch: int = 64,
    positions: int = 256,
    seed: int = 0,
) -> Description:
    """Run one batch through a network and list all its layers in execution order.

    For each layer, the `Description` gives the number of calls in the forward pass and the shape of the output. It also
    gives the number p of features of the representation (n, p) for n samples, and whether the layer is compared. For a
    layer that cannot be compared, the `Description` gives the reason. The network is not changed.

    Args:
        model: an `nn.Module`, or a `SimilarityModel`. The table marks the layers that are compared: for an `nn.Module`
            those chosen by default, for a `SimilarityModel` its own layers.
        batch: one batch, as a loader yields it.
        representation, forward, inputs, batch_dim, masks, batch_size, device, gram_batch, positions, seed: as in
            `compare`.

    Raises:
        ValueError, TypeError: for the same reasons as `compare`.

    >>> import torch
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    >>> print(describe(net, torch.zeros(64, 8)))
    Sequential: 3 layers, 2 of them chosen, 64 samples
    <BLANKLINE>
    layer  module  calls  output   dtype    features  chosen  samples
    0      Linear  1      64 × 16  float32  16        yes     dimension 0 (shape)
    1      ReLU    1      64 × 16  float32  16                dimension 0 (shape)
    2      Linear  1      64 × 4   float32  4         yes     dimension 0 (shape)
    <BLANKLINE>
    comparing the chosen layers takes about 178 kB beside the model
    """
    own_model = model if isinstance(model, SimilarityModel) else SimilarityModel(model)
    chosen = set(own_model.layer_names)
    everything = SimilarityModel(own_model.model, own_model.model_name, layers=list(named_layers(own_model.model)))
    plan = Options(
        measures=("cka",),
        confounder=None,
        representation=representation,
        forward=forward,
        inputs=inputs,
        batch_dim=batch_dim,
        masks=masks,
        batch_size=batch_size,
        device=device,
        gram_batch=gram_batch,
        positions=positions,
        seed=seed,
    ).plan([everything])
    (network,) = plan.networks
    own_batch = network.make_batch(batch, 0)
    finder = SampleFinder()
    context = ReadingContext(own_batch.n)
    found: dict[str, LayerDescription] = {}
    calls: Counter[str] = Counter()
    pending_bytes = 0
    itemsize = 4
    previous = ""

    def sink(call: str, output: Any, inputs: Any) -> None:
        nonlocal pending_bytes, itemsize, previous
        layer = call.partition("#")[0]
        calls[layer] += 1
        reading = network.readings[layer]
        try:
            tensor = finder.find((0, call), reading, output, own_batch.n, context.lengths, 0)
            x = reading.represent(tensor, context, call, inputs)
        except RepresentationError as problem:
            if isinstance(problem, UnclearFeaturesError):
                finder.want_features(0)
            listed = layer in chosen
            found.setdefault(
                layer, LayerDescription(layer, network.kinds[layer], 0, None, "", None, listed, str(problem))
            )
            return
        # a container that returns the output of the chosen layer before it would only repeat that layer's row
        repeats_child = (
            layer in chosen and context.repeat_detector.is_repeat(tensor.source) and layer in network.containers
        )
        left_out = own_model.chosen_by_default and repeats_child
        listed = layer in chosen and not left_out
        shape = tuple(getattr(tensor.tensor, "shape", ()))
        dtype = str(x.dtype).removeprefix("torch.")
        description = LayerDescription(layer, network.kinds[layer], 0, shape, dtype, x.shape[1], listed)
        if tensor.layout is not None:
            used = context.masks.by_name.get(call)
            how = read_as(call, reading, tensor.layout, network.mask_rules, finder.has_probed, used)
            description = replace(description, samples=how.samples, mask=how.mask)
        found.setdefault(layer, replace(description, repeats=previous) if left_out else description)
        if layer in chosen:
            previous = call
        if found[layer].chosen:
            pending_bytes += x.numel() * x.element_size()
            itemsize = max(itemsize, min(8, x.element_size()))

    capture = Capture(
        network.module,
        network.model,
        network.names,
        network.device,
        network.caller,
        sink,
        unpooled=network.unpooled,
    )
    with interrupts_held(), preserved_random_state([network.device]), capture:
        own_batch = settle_batch_dim(network, capture, own_batch, 0)
        whole = replace(own_batch, raw=batch)
        is_read = False
        while not is_read:
            if finder.may_probe_tokens(0, 0, network.masks_needed(own_batch)):
                finder.probe_tokens(0, own_batch, 0, network.parse, capture, network.mask_rules)
            found.clear()
            calls.clear()
            context, pending_bytes, previous = _context(own_batch, network, plan, finder), 0, ""
            try:
                capture.forward(own_batch)
                is_read = True
            except ProbeNeededError:
                finder.probe(whole, 0, lambda raw, index: _split(network, raw, index), [capture])
    n = own_batch.n if context.positions is None else len(context.positions.drawn_samples())
    n_in_gram = max(n, gram_batch)
    n_rows = sum(calls[layer.name] for layer in found.values() if layer.chosen) + 1  # one for a confounder
    estimate = estimate_memory(
        n_rows,
        n_in_gram,
        pending_bytes=pending_bytes * (n_in_gram - n) // max(n, 1),
        joins_batches=n < gram_batch,
        itemsize=itemsize,
    )
    ran = [replace(layer, calls=calls[layer.name]) for layer in found.values()]
    idle = [
        LayerDescription(name, network.kinds[name], 0, None, "", None, False, "did not run")
        for name in network.names
        if name not in found
    ]
    problem = memory_warning(estimate, bytes_free(plan.device), n_rows, n_in_gram)
    return Description(own_model.model_name, own_batch.n, (*ran, *idle), estimate, problem)


def _context(batch: Batch, network: Network, plan: Plan, finder: SampleFinder) -> ReadingContext:
    """Return a new `ReadingContext` for one forward pass of the batch through the network."""
    positions = None if plan.positions is None else Positions(batch.n, plan.positions, 0, lambda _: None)
    problem = finder.token_problems.get(0, "")
    masks = TokenMasks(batch.masks.to(network.device), network.mask_rules, batch, problem)
    return ReadingContext(batch.n, masks, batch.raw, positions, problem=problem, lengths=set(batch.token_counts()))


def _split(network: Network, raw: Any, index: int) -> tuple[Batch, list[Batch]]:
    """Return the network's batch made from `raw`, and a list of only this batch, as `SampleFinder.probe` requires."""
    batch = network.make_batch(raw, index)
    return batch, [batch]
