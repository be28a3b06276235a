"""`Options`: the keyword arguments of `compare`. `Plan`: what a comparison does, made from the checked arguments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import torch

from simwidget.capture.caller import Forward
from simwidget.capture.positions import PositionOptions
from simwidget.capture.representation_option import RepresentationOption, Representations, callable_name
from simwidget.gram.gram_batch import GramOptions
from simwidget.gram.precision import PRECISIONS, Precision
from simwidget.measures import make_measures
from simwidget.measures.base import Measure, MeasureOptions
from simwidget.plan.batch_size import BatchSize
from simwidget.plan.confounders import Confounder, ConfounderOption, confounder_layers, resolve_confounders
from simwidget.plan.devices import Device, check_device, choose_device
from simwidget.plan.limits import Limits
from simwidget.plan.networks import Network, PlannedModel, networks_of
from simwidget.plan.reading_options import BatchDim, MasksOption, ReadingOptions
from simwidget.plan.shared_networks import shared_network_notes
from simwidget.plan.similarity_model import SimilarityModel
from simwidget.text.printable import describe_type
from simwidget.text.suggestions import did_you_mean

Inputs = Callable[[Any], Any]
DeviceOption = Device | Sequence[Device] | Mapping[str, Device]
ForwardOption = Forward | Sequence[Forward | None] | Mapping[str, Forward] | None
InputsOption = Inputs | Sequence[Inputs | None] | Mapping[str, Inputs] | None


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `compare`, as the user gave them. The docstring of `compare` explains each argument."""

    measures: Sequence[str] | str = ("cka", "dcka")
    device: DeviceOption = None
    representation: RepresentationOption = "flatten"
    confounder: ConfounderOption = "input"
    forward: ForwardOption = None
    inputs: InputsOption = None
    batch_dim: BatchDim = None
    masks: MasksOption = None
    batch_size: BatchSize | None = None
    unbiased: bool = True
    gram_batch: int = 64
    average: Literal["hsic", "cka"] = "hsic"
    remove_negative_eig: bool = False
    precision: Precision = "highest"
    positions: int = 256
    seed: int = 0
    auto_batch: bool = False
    max_batches: int | None = None
    max_samples: int | None = None
    max_seconds: float | None = None
    until: float | None = None
    until_quantile: float = 1.0
    checkpoint: str | PathLike[str] | None = None
    checkpoint_seconds: float = 60.0

    @property
    def limits(self) -> Limits:
        return Limits(self.max_batches, self.max_samples, self.max_seconds, self.until, self.until_quantile)

    def plan(self, models: Sequence[SimilarityModel]) -> "Plan":
        """Check every option for the given models and return the resulting `Plan`.

        Raises ValueError or TypeError for the first option that is wrong; the message says what to give instead.
        """
        names = tuple(model.model_name for model in models)
        modules = {model.model_name: model.model for model in models}
        measures = make_measures(self.measures, MeasureOptions(self.unbiased, self.average, self.remove_negative_eig))
        uses_confounder = any(measure.name == "dcka" for measure in measures)
        confounders = resolve_confounders(self.confounder, modules) if uses_confounder else ()
        if uses_confounder and not confounders:
            raise ValueError(
                "measure 'dcka' needs a confounder: give confounder=\"input\" or a callable on the batch, or use "
                'measures=("cka",)'
            )
        self._check_values()
        devices = per_model("device", self.device, names, lambda one: isinstance(one, str | torch.device))
        for name, device in devices.items():
            check_device(device, name)
        devices = {name: choose_device(devices[name], modules[name]) for name in names}
        representations = Representations.from_option(
            self.representation, {model.model_name: model.layer_names for model in models}
        )
        inputs = per_model("inputs", self.inputs, names, callable)
        forwards = per_model("forward", self.forward, names, callable)
        reading = ReadingOptions.of(representations, self.batch_dim, self.masks, models)
        layers = confounder_layers(confounders)
        planned = [
            PlannedModel(model, devices[name], inputs[name], forwards[name], layers.get(name, ()))
            for name, model in zip(names, models, strict=True)
        ]
        by_position = reading.position_representation is not None
        as_given = {
            "measures": [measure.name for measure in measures],
            "unbiased": self.unbiased,
            "average": self.average,
            "remove_negative_eig": self.remove_negative_eig,
            "gram_batch": self.gram_batch,
            "max_batches": self.max_batches,
            **self.limits.as_given(),
            "precision": self.precision,
            "confounder": [one.name for one in confounders],
            "representation": representations.describe(),
            **({} if self.batch_size is None else {"batch_size": callable_name(self.batch_size)}),
            "batch_dim": dict(self.batch_dim) if isinstance(self.batch_dim, Mapping) else self.batch_dim,
            **({"masks": dict(self.masks)} if self.masks else {}),
            **{
                option: {name: callable_name(function) for name, function in given.items() if function is not None}
                for option, given in (("inputs", inputs), ("forward", forwards))
                if any(given.values())
            },
            **({"positions": self.positions, "seed": self.seed} if by_position else {}),
        }
        return Plan(
            tuple(models),
            tuple(networks_of(planned, reading, self.batch_size)),
            measures,
            confounders,
            devices[names[0]],
            GramOptions(self.gram_batch, self.precision),
            PositionOptions(self.positions, self.seed) if by_position else None,
            self.limits,
            None if self.checkpoint is None else CheckpointOptions(self.checkpoint, self.checkpoint_seconds),
            self.auto_batch,
            {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default},
            as_given,
            tuple(shared_network_notes(planned)),
        )

    def _check_values(self) -> None:
        """Raise ValueError or TypeError if an option that does not depend on the models has a wrong value."""
        for option, least in (("gram_batch", 1), ("positions", 4), ("seed", 0)):
            value = getattr(self, option)
            is_valid = isinstance(value, int) and not isinstance(value, bool) and value >= least
            if not is_valid:
                raise ValueError(f"{option}={value!r}: give a whole number from {least} on")
        self.limits.check()
        if self.batch_size is not None and not callable(self.batch_size):
            raise TypeError(
                f"batch_size= is {describe_type(self.batch_size)}: give a function from a batch to its number of "
                "samples; to change the size of the batches, change the loader"
            )
        if self.auto_batch and not (self.unbiased and self.average == "hsic"):
            raise ValueError(
                "auto_batch=True splits batches, which changes biased estimates and means of the ratios of batches: "
                'it needs unbiased=True and average="hsic"'
            )
        self._check_checkpoint()
        if self.seed >= 2**31:
            raise ValueError(f"seed={self.seed!r}: give a whole number below 2**31")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={self.precision!r}: choose {' or '.join(map(repr, PRECISIONS))}")

    def _check_checkpoint(self) -> None:
        seconds = self.checkpoint_seconds
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds >= 0:
            raise ValueError(f"checkpoint_seconds={seconds!r}: give the seconds between two checkpoints, 0 or more")
        if self.checkpoint is None:
            return
        if not isinstance(self.checkpoint, str | PathLike):
            raise TypeError(f"checkpoint= is {describe_type(self.checkpoint)}: give the path of a file")
        folder = Path(self.checkpoint).absolute().parent
        if not folder.is_dir():
            raise ValueError(f"checkpoint={str(self.checkpoint)!r}: there is no folder {str(folder)!r}; make it first")


@dataclass(frozen=True)
class CheckpointOptions:
    """The file to which a run writes checkpoints, and how often it does so."""

    path: str | PathLike[str]
    seconds: float
    """least number of seconds between two checkpoints during the run; a checkpoint at a pause or at the end is written
    without this wait"""


@dataclass(frozen=True)
class Plan:
    """A comparison with checked options: what is run, how outputs become representations, and when the run ends."""

    models: tuple[SimilarityModel, ...]
    networks: tuple[Network, ...]
    measures: tuple[Measure, ...]
    confounders: tuple[Confounder, ...]
    device: torch.device
    """the device of the first model. The sums from which results are computed are on this device, or on the CPU if
    this device is MPS."""
    grams: GramOptions
    positions: PositionOptions | None
    """how to draw tokens or spatial positions at random if these are the samples; else None"""
    limits: Limits
    checkpoint: CheckpointOptions | None
    auto_batch: bool
    changed_options: Mapping[str, Any]
    """the options that differ from their defaults, as the user gave them; a checkpoint stores some of these"""
    as_given: Mapping[str, Any]
    """the options as the provenance of a result records them, with names in place of functions"""
    notes: tuple[str, ...]
    """notes for readers of the result, which are known before the run"""

    def network_of(self, model: str) -> int:
        """Return the index in `networks` of the network that runs the model with this name."""
        return next(position for position, network in enumerate(self.networks) if model in network.models)


def per_model(option: str, value: Any, names: Sequence[str], is_valid: Callable[[Any], bool]) -> dict[str, Any]:
    """Return the value of an option for each model, as a dict from model names to values.

    Args:
        option: the name of the option, for error messages.
        value: what the user gave: one value for all models, a list or tuple in the order of the models, or a mapping
            from model names to values. A model that the mapping lacks gets None.
        names: the names of the models.
        is_valid: a function that says whether a value is valid. None is always valid, and is not passed to this
            function.

    Raises:
        ValueError: the number of values is wrong, or a model's name is unknown.
        TypeError: a value is not valid.
    """
    if isinstance(value, Mapping):
        for name in value:
            if name not in names:
                raise ValueError(
                    f"{option} names a model {name!r} that is not compared.{did_you_mean(str(name), names)}"
                )
        found = {name: value.get(name) for name in names}
    elif isinstance(value, tuple | list):
        if len(value) != len(names):
            raise ValueError(f"{option} has {len(value)} entries for {len(names)} models: give one for each")
        found = dict(zip(names, value, strict=True))
    else:
        found = dict.fromkeys(names, value)
    for name, one in found.items():
        if one is not None and not is_valid(one):
            raise TypeError(f"{option} of {name!r} is {describe_type(one)}: give a {_EXPECTED[option]}, or None")
    return found


_EXPECTED = {
    "device": "torch.device or its name",
    "inputs": "function from the loader's batch to the model's own",
    "forward": "function called as forward(model, batch)",
}
