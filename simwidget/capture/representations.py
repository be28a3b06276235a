"""A layer's output -> its representation (n, p)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from simwidget.capture import pooling
from simwidget.capture.axes import TELLS_NOTHING, FeatureAxes, Told
from simwidget.capture.outputs import LatestTensor, Output, RepresentationError, find_output, keeps_shape, kind_of
from simwidget.capture.positions import Positions
from simwidget.data.masks import NO_MASKS, Masks
from simwidget.text.suggestions import did_you_mean

Named = Literal["flatten", "mean", "cls", "last", "tokens", "positions"]
NAMES: tuple[str, ...] = get_args(Named)
BY_POSITION = ("tokens", "positions")
"""Representations in which a token or position is a sample."""

Representation = Named | Callable[[Any], Tensor]
RepresentationOption = Representation | Mapping[str, Representation]


@dataclass(frozen=True)
class Representations:
    """The representation of every layer: one for all, or by pattern, the first that matches."""

    rules: tuple[tuple[str, Representation], ...]

    @staticmethod
    def of(option: Any, layers: Mapping[str, Sequence[str]]) -> "Representations":
        """Check the option against the layers of the models; raises ValueError, also for a pattern that fits none."""
        given = dict(option) if isinstance(option, Mapping) else {"*": option}
        for pattern, one in given.items():
            if not callable(one) and one not in NAMES:
                at = f" for {pattern!r}" if isinstance(option, Mapping) else ""
                raise ValueError(
                    f"representation={one!r}{at}: choose {', '.join(map(repr, NAMES))}, or a callable from a layer's "
                    'output (n, ...) to (n, p); or a mapping from layer patterns to these, {"*.attn": "mean"}'
                )
        found = Representations(tuple(given.items()))
        check_patterns("representation", list(given) if isinstance(option, Mapping) else [], layers)
        chosen = {found.at(model, layer) for model, names in layers.items() for layer in names}
        by_position = {one for one in chosen if one in BY_POSITION}
        if by_position and chosen - set(BY_POSITION):
            other = next(
                f"{model}:{layer}"
                for model, names in layers.items()
                for layer in names
                if found.at(model, layer) not in BY_POSITION
            )
            raise ValueError(
                f"representation {by_position.pop()!r} makes every token or position a sample, so it must hold for all "
                f"layers: {other!r} has another; use layers= to choose fewer layers, or two comparisons"
            )
        return found

    def at(self, model: str, layer: str) -> Representation:
        """The representation of a layer of a model; "flatten" where no pattern matches."""
        for pattern, one in self.rules:
            if matches(pattern, model, layer):
                return one
        return "flatten"

    @property
    def names_models(self) -> bool:
        return any(":" in pattern for pattern, _ in self.rules)

    def describe(self) -> Any:
        """For the provenance: a name, or names by pattern."""
        told = {pattern: name_of(one) if callable(one) else one for pattern, one in self.rules}
        return told["*"] if list(told) == ["*"] else told


def matches(pattern: str, model: str, layer: str) -> bool:
    """Whether a pattern, a name or glob of layers or of "model:layer", matches a layer of a model."""
    layer = layer.partition("#")[0]
    return any(name == pattern or fnmatchcase(name, pattern) for name in (layer, f"{model}:{layer}"))


def check_patterns(option: str, patterns: Sequence[str], layers: Mapping[str, Sequence[str]]) -> None:
    """Raises ValueError for a pattern that matches no layer of any model."""
    known = list(dict.fromkeys(layer for names in layers.values() for layer in names))
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(
                f"{option}= has the key {pattern!r}: its keys are names or globs of layers, such as '*.attn'"
            )
        if not any(matches(pattern, model, layer) for model, names in layers.items() for layer in names):
            raise ValueError(
                f"{option}= names {pattern!r}, which matches no layer that is compared.{did_you_mean(pattern, known)}"
            )


@dataclass(frozen=True)
class Surroundings:
    """What a reading must know of the batch and of the forward pass that it is in."""

    n: int
    masks: Masks = NO_MASKS
    positions: Positions | None = None
    axes: FeatureAxes = field(default_factory=FeatureAxes)
    latest: LatestTensor = field(default_factory=LatestTensor)


@dataclass(frozen=True)
class Reading:
    """How one layer's output is read."""

    how: Representation
    told: Told = TELLS_NOTHING
    """what the modules say of the layer's features"""
    dims: tuple[int, ...] = (0, 1)
    """where the samples are looked for"""
    asked_for: bool = False
    """whether these dimensions are the user's"""
    part: Literal["encoder", "decoder", "both"] = "encoder"
    """where the layer is in a network of two parts; "both" for one that runs in each, the decoder's time second"""

    def decodes(self, call: str) -> bool:
        """Whether this call of the layer is about the decoder's tokens."""
        return self.part == "decoder" or (self.part == "both" and "#" in call)

    def reads_like(self, other: "Reading") -> bool:
        """Whether the two make the same representation of one output."""
        as_it_lies = self.how == "flatten" or callable(self.how)
        alike = self.how == other.how and (self.dims, self.asked_for) == (other.dims, other.asked_for)
        return alike and (as_it_lies or self.told == other.told)

    def output(self, raw: Any, n: int) -> Output:
        """The tensor that is compared; the whole output for a callable where there is none."""
        try:
            return find_output(raw, n, self.dims, self.asked_for)
        except RepresentationError:
            if callable(self.how) and raw is not None:
                return Output(raw)
            raise

    def represent(self, found: Output, batch: "Surroundings", call: str, inputs: Any = None) -> Tensor:
        """The representation (n, p) of an output, or (m, p) where positions are samples."""
        x, n = found.tensor, batch.n
        if callable(self.how):
            x = self.how(x)
            if not isinstance(x, Tensor) or x.ndim < 1 or x.shape[0] != n:
                shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
                raise ValueError(
                    f"representation= returned {shape}; it must return a tensor ({n}, ...), one row a sample"
                )
            if x.layout != torch.strided:
                raise ValueError(f"representation= returned a {kind_of(x)} tensor; it must return a dense one")
            return flatten(x)
        if self.how == "flatten":
            return flatten(x)
        if found.complex:  # the parts of one number belong together until the end
            x = torch.view_as_complex(x)
        axis = batch.axes.of(x, self.told, keeps_shape(found, inputs))
        if batch.positions is not None and self.how in BY_POSITION:
            return batch.positions.read(self.decodes(call), x, axis)
        mask = self.mask(found, batch.masks, axis, call)
        pool = {"mean": pooling.mean, "cls": pooling.first_token, "last": pooling.last_token}[self.how]
        return flatten(pool(x, axis, mask))

    def mask(self, found: Output, masks: Masks, axis: int, call: str) -> Tensor | None:
        """Which of an output's tokens are real, as the batch or a packed sequence tells."""
        x = found.tensor[..., 0] if found.complex else found.tensor
        if x.ndim != 3:
            return None
        tokens = x.shape[3 - axis]
        if found.lengths is not None:
            steps = found.lengths.new_ones(tokens).cumsum(0)
            return steps <= found.lengths[:, None]
        return masks.of(self.decodes(call), tokens)


def flatten(tensor: Tensor) -> Tensor:
    """(n, ...) -> (n, p), without a copy where the memory allows one.

    The order of the features does not enter a Gram matrix, so they are taken as they lie (channels last, say).
    """
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    if tensor.ndim == 1:
        return tensor[:, None]
    if tensor.is_contiguous():
        return tensor.flatten(1)
    order = sorted(range(1, tensor.ndim), key=lambda d: tensor.stride(d), reverse=True)
    return tensor.permute(0, *order).flatten(1)


def name_of(function: Any) -> str:
    """How a callable option is named in the result."""
    return getattr(function, "__name__", type(function).__name__)
