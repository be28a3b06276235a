"""Makes the `Network` objects of a comparison: which modules run on which device, and how layer outputs are read.

Models that use the same `nn.Module` share one `Network`, unless their options differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from simwidget.capture.batch_first import sequence_first_layers
from simwidget.capture.caller import Caller, Forward
from simwidget.capture.encoder_decoder import encoder_or_decoder
from simwidget.capture.feature_axes import feature_hints
from simwidget.capture.layers import named_layers
from simwidget.capture.length_maps import length_maps
from simwidget.capture.reading import Reading
from simwidget.capture.token_masks import MaskRules
from simwidget.data.batch import Batch
from simwidget.data.masks import find_masks
from simwidget.data.nested import flat_entries
from simwidget.data.parsing import describe_batch, parse_batch
from simwidget.plan.batch_size import BatchSize, count_by
from simwidget.plan.reading_options import ReadingOptions
from simwidget.plan.similarity_model import SimilarityModel
from simwidget.text.errors import add_place


@dataclass
class Network:
    """One `nn.Module` with all that is needed to run it on batches and to read the outputs of its layers.

    Several models of a comparison may share one network.
    """

    module: nn.Module
    models: tuple[str, ...]
    device: torch.device
    caller: Caller
    readings: Mapping[str, Reading]
    """for each layer that gets a hook, how its output becomes a representation"""
    kinds: Mapping[str, str]
    """for each layer that gets a hook, the class name of its module"""
    containers: frozenset[str]
    """names of the layers that have submodules"""
    batch_dim: int
    """the dimension that indexes the samples in the network's input tensors"""
    mask_rules: MaskRules
    """what is known about the masks of the layers' tokens (which tokens are padding) before the network runs"""
    prepare: Callable[[Any], Any] | None = None
    """the user's function that makes the network's batch from the loader's batch; None to use the loader's batch"""
    may_be_steps_first: bool = False
    """whether `batch_dim` is 0 but may have to be 1, because the network contains a module with `batch_first=False`

    `settle_batch_dim` finds this out.
    """
    batch_size: BatchSize | None = None
    """the user's function that returns the number of samples of the loader's batch; None to count samples in tensors"""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layers that get a hook."""
        return tuple(self.readings)

    def masks_needed(self, batch: Batch) -> tuple[str, ...]:
        """Return the keys of all masks of a batch if the representation of a layer needs a mask; otherwise ().

        Layers that match a rule of the option `masks` do not count.
        """
        if not batch.masks.real or not any(
            reading.uses_masks and self.mask_rules.given(layer) is None for layer, reading in self.readings.items()
        ):
            return ()
        return tuple(batch.masks.real)

    @property
    def unpooled(self) -> frozenset[str]:
        """The names of the layers whose representation is a callable. It gets outputs for nodes without averaging."""
        return frozenset(name for name, reading in self.readings.items() if callable(reading.representation))

    @property
    def model(self) -> str:
        """The name of the first model that uses the network. Messages use this name for the network."""
        return self.models[0]

    def make_batch(self, raw: Any, index: int) -> Batch:
        """Make the network's `Batch` from `raw`, which is batch number `index` of the loader.

        Raises:
            TypeError: `raw`, or the result of the user's function `prepare`, holds no input for a network; its number
                of samples is unknown; or the user's function `batch_size` does not return a whole number.
            ValueError: see `parse_batch`.
            Exception: any exception of `prepare` or `batch_size`, with a note that names the function.
        """
        n_told = None if self.batch_size is None else count_by(self.batch_size, raw, index)
        model_input = raw
        if self.prepare is not None:
            try:
                model_input = self.prepare(raw)
            except Exception as error:
                add_place(error, f"in inputs= of model {self.model!r}")
                raise
        try:
            return self.parse(model_input, index, n_told)
        except TypeError as problem:
            if self.prepare is None:
                raise
            raise TypeError(
                f"inputs= of model {self.model!r} made of batch {index} {describe_batch(model_input)}: it must give a "
                "tensor (n, ...), a mapping of them, a list of images (c, h, w), or a tuple (input, ...) whose first "
                "element is one of these"
            ) from problem

    def parse(self, model_input: Any, index: int, n_told: int | None = None) -> Batch:
        """Parse `model_input`, batch number `index` of the network, with `parse_batch`.

        Masks are found by their keys, also in nested mappings, or by the names of the arguments that the network's
        `forward` gets.
        """
        batch = parse_batch(model_input, index, self.batch_dim, self.caller.has_custom_forward, n_told)
        named: Mapping[Any, Any] = batch.inputs
        if not isinstance(named, Mapping):
            try:
                named = self.caller.named_inputs(batch)
            except TypeError:  # the forward pass raises it again
                return batch
        flat = flat_entries(named)
        return replace(batch, named=flat, masks=find_masks(flat, batch.n, index))


@dataclass(frozen=True)
class PlannedModel:
    """One model of a comparison, with the options that may differ between models."""

    model: SimilarityModel
    device: torch.device
    inputs: Callable[[Any], Any] | None
    """the user's function that makes the model's batch from the loader's batch; if None, the loader's batch is used"""
    forward: Forward | None
    confounder_layers: Sequence[str]
    """names of the layers whose outputs are confounders; these layers need not be compared"""

    @property
    def name(self) -> str:
        return self.model.model_name

    @property
    def module(self) -> nn.Module:
        return self.model.model

    @property
    def hooked_layers(self) -> list[str]:
        """The names of the compared layers and of the confounder layers, each name once."""
        return list(dict.fromkeys((*self.model.layer_names, *self.confounder_layers)))


def networks_of(
    models: Sequence[PlannedModel], options: ReadingOptions, batch_size: BatchSize | None = None
) -> list[Network]:
    """Return the networks to run, each with all layers that its models need.

    Models with the same `nn.Module`, `inputs`, `forward` and device share a network. This network runs once for all
    these models. Exception: if any pattern in `representation`, `batch_dim` or `masks` names a model, as in
    "model:layer", every model gets a network of its own.
    """
    groups: dict[Any, list[PlannedModel]] = {}
    for model in models:
        by_name = model.name if options.names_models else ""
        key = (id(model.module), id(model.inputs), id(model.forward), model.device, by_name)
        groups.setdefault(key, []).append(model)
    return [_network(group, options, batch_size) for group in groups.values()]


def _network(group: Sequence[PlannedModel], options: ReadingOptions, batch_size: BatchSize | None) -> Network:
    first = group[0]
    module = first.module
    layers, sequence_first = named_layers(module), sequence_first_layers(module)
    order, features = list(layers), feature_hints(module)
    hooked = list(dict.fromkeys(layer for model in group for layer in model.hooked_layers))

    def reading(layer: str) -> Reading:
        dims, asked_for = options.dims_of(first.name, layer, layer in sequence_first)
        representation = options.representation_of(first.name, layer)
        return Reading(representation, features[layer], dims, asked_for, encoder_or_decoder(layer, order))

    return Network(
        module,
        tuple(model.name for model in group),
        first.device,
        Caller(module, first.name, first.forward),
        {layer: reading(layer) for layer in hooked},
        {layer: type(layers[layer]).__name__ for layer in hooked},
        frozenset(name for name, layer in layers.items() if next(layer.children(), None) is not None),
        options.batch_dim if isinstance(options.batch_dim, int) else int("" in sequence_first),
        MaskRules(options.masks, first.name, length_maps(module), any("decoder" in layer for layer in layers)),
        first.inputs,
        options.batch_dim is None and bool(sequence_first) and "" not in sequence_first,
        batch_size,
    )
