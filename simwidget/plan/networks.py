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
from simwidget.capture.patterns import check_patterns, matches
from simwidget.capture.reading import Reading
from simwidget.capture.representations import BY_POSITION, Named, Representations
from simwidget.data.batch import Batch
from simwidget.data.parsing import describe_batch, parse_batch
from simwidget.plan.model import SimilarityModel
from simwidget.text.errors import add_place

BatchDim = None | int | Mapping[str, int]


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


def networks_of(
    models: Sequence[SimilarityModel],
    devices: Mapping[str, torch.device],
    representations: Representations,
    batch_dim: BatchDim,
    inputs: Mapping[str, Callable[[Any], Any] | None],
    forwards: Mapping[str, Forward | None],
    confounder_layers: Mapping[str, Sequence[str]],
    by_position: Named | None = None,
) -> list[Network]:
    """Each network once, with the layers that any of its models asks for and those in `confounder_layers`.

    A network under two names is run once, unless the two get different inputs, forwards or representations.
    """
    _check_batch_dim(batch_dim, models)
    groups: dict[Any, list[SimilarityModel]] = {}
    for model in models:
        name = model.model_name
        by_name = (
            name
            if representations.names_models or (isinstance(batch_dim, Mapping) and ":" in "".join(map(str, batch_dim)))
            else ""
        )
        key = (id(model.model), id(inputs[name]), id(forwards[name]), devices[name], by_name)
        groups.setdefault(key, []).append(model)
    networks = []
    for group in groups.values():
        module, names = group[0].model, tuple(model.model_name for model in group)
        wanted = [
            layer for model in group for layer in (*model.layer_names, *confounder_layers.get(model.model_name, ()))
        ]
        layers, sequence_first = named_layers(module), sequence_first_layers(module)
        order, features = list(layers), feature_hints(module)
        containers = (name for name, layer in layers.items() if next(layer.children(), None) is not None)

        def reading(layer: str) -> Reading:
            dims, asked_for = _candidate_dims(batch_dim, names[0], layer, layer in sequence_first)  # noqa: B023
            representation = representations.for_layer(names[0], layer)  # noqa: B023
            if by_position and representation not in BY_POSITION:  # a confounding layer that no pattern is about
                representation = by_position
            return Reading(representation, features[layer], dims, asked_for, encoder_or_decoder(layer, order))  # noqa: B023

        networks.append(
            Network(
                module,
                names,
                devices[names[0]],
                Caller(module, names[0], forwards[names[0]]),
                {layer: reading(layer) for layer in dict.fromkeys(wanted)},
                {layer: type(layers[layer]).__name__ for layer in dict.fromkeys(wanted)},
                frozenset(containers),
                batch_dim if isinstance(batch_dim, int) else int("" in sequence_first),
                inputs[names[0]],
            )
        )
    return networks


def _candidate_dims(batch_dim: BatchDim, model: str, layer: str, sequence_first: bool) -> tuple[tuple[int, ...], bool]:
    if isinstance(batch_dim, Mapping):
        for pattern, dim in batch_dim.items():
            if matches(pattern, model, layer):
                return (dim,), True
    elif batch_dim is not None:
        return tuple(dict.fromkeys((batch_dim, 0))), True
    return ((1, 0) if sequence_first else (0, 1)), False


def _check_batch_dim(batch_dim: Any, models: Sequence[SimilarityModel]) -> None:
    given = batch_dim if isinstance(batch_dim, Mapping) else {} if batch_dim is None else {"": batch_dim}
    for pattern, dim in given.items():
        if not isinstance(dim, int) or isinstance(dim, bool) or dim < 0:
            at = f" for {pattern!r}" if isinstance(batch_dim, Mapping) else ""
            raise ValueError(
                f"batch_dim={dim!r}{at}: give the dimension that holds the samples, a whole number from 0 on, or a "
                "mapping from layer patterns to such numbers"
            )
    if isinstance(batch_dim, Mapping):
        layers = {model.model_name: model.layer_names for model in models}
        check_patterns("batch_dim", list(batch_dim), layers)
