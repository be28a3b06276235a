"""The networks of a comparison, each once for every way in which it is run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from simwidget.capture.axes import feature_hints
from simwidget.capture.batch_first import sequence_first_layers
from simwidget.capture.calling import Caller, Forward
from simwidget.capture.encoder_decoder import encoder_or_decoder
from simwidget.capture.layers import named_layers
from simwidget.capture.reading import Reading
from simwidget.data.batch import Batch
from simwidget.data.parsing import describe_batch, parse_batch
from simwidget.plan.model import SimilarityModel
from simwidget.plan.reading_options import ReadingOptions
from simwidget.text.errors import add_place


@dataclass
class Network:
    """One network, however many models of the comparison it stands for."""

    module: nn.Module
    models: tuple[str, ...]
    device: torch.device
    caller: Caller
    readings: Mapping[str, Reading]
    """for each layer that is hooked, in the order of the modules, how its output is read"""
    kinds: Mapping[str, str]
    """for each layer the class of its module"""
    containers: frozenset[str]
    batch_dim: int
    """where the samples lie in the tensors of its batches"""
    prepare: Callable[[Any], Any] | None = None
    """makes its own batch of the loader's"""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.readings)

    @property
    def model(self) -> str:
        """The name that messages call it by."""
        return self.models[0]

    def make_batch(self, raw: Any, index: int) -> Batch:
        """Its own batch of what the loader gave."""
        model_input = raw
        if self.prepare is not None:
            try:
                model_input = self.prepare(raw)
            except Exception as error:
                add_place(error, f"in inputs= of model {self.model!r}")
                raise
        try:
            return parse_batch(model_input, index, self.batch_dim, self.caller.has_custom_forward)
        except TypeError as problem:
            if self.prepare is None:
                raise
            raise TypeError(
                f"inputs= of model {self.model!r} made of batch {index} {describe_batch(model_input)}: it must give a "
                "tensor (n, ...), a mapping of them, a list of images (c, h, w), or a tuple (input, ...) whose first "
                "element is one of these"
            ) from problem


@dataclass(frozen=True)
class PlannedModel:
    """One model of the comparison, with the options that are its own."""

    model: SimilarityModel
    device: torch.device
    inputs: Callable[[Any], Any] | None
    """from the loader's batch to the model's own"""
    forward: Forward | None
    confounder_layers: Sequence[str]
    """layers that are hooked as confounders, whether they are chosen or not"""

    @property
    def name(self) -> str:
        return self.model.model_name

    @property
    def module(self) -> nn.Module:
        return self.model.model

    @property
    def hooked_layers(self) -> list[str]:
        return list(dict.fromkeys((*self.model.layer_names, *self.confounder_layers)))


def networks_of(models: Sequence[PlannedModel], options: ReadingOptions) -> list[Network]:
    """Each network once, with the layers that any of its models asks for.

    A network under two names is run once, unless the two get different inputs, forwards or representations.
    """
    groups: dict[Any, list[PlannedModel]] = {}
    for model in models:
        by_name = model.name if options.names_models else ""
        key = (id(model.module), id(model.inputs), id(model.forward), model.device, by_name)
        groups.setdefault(key, []).append(model)
    return [_network(group, options) for group in groups.values()]


def _network(group: Sequence[PlannedModel], options: ReadingOptions) -> Network:
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
        first.inputs,
    )
