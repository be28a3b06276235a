"""`Reading`: turns a layer's output into its representation (n, p)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from simwidget.capture import pooling
from simwidget.capture.feature_axes import NO_HINTS, FeatureAxes, FeatureHints
from simwidget.capture.outputs import (
    NO_EVIDENCE,
    Evidence,
    Output,
    RepresentationError,
    UnclearFeaturesError,
    describe_type,
    find_output,
    keeps_shape,
)
from simwidget.capture.pooling import flatten
from simwidget.capture.positions import Positions
from simwidget.capture.repeat_detector import RepeatDetector
from simwidget.capture.representation_option import BY_POSITION, Representation, n_arguments
from simwidget.capture.token_masks import TokenMasks
from simwidget.capture.tokens import followed_mask


@dataclass(frozen=True)
class ReadingContext:
    """The state of one forward pass of one network, shared by the readings of all layers."""

    n: int
    """the number of samples of the batch"""
    masks: TokenMasks = field(default_factory=TokenMasks)
    batch: Any = None
    """the network's batch in its original structure, for callable representations with two or three parameters"""
    positions: Positions | None = None
    """the positions (tokens or places of a feature map) that serve as samples; None to use the samples of the batch"""
    axes: FeatureAxes = field(default_factory=FeatureAxes)
    repeat_detector: RepeatDetector = field(default_factory=RepeatDetector)
    chosen_axes: dict[str, int] = field(default_factory=dict)
    """call of a layer -> the dimension of its output (n, ...) that holds the features"""
    problem: str = ""
    """why the pass over shorter sequences (see `TokenProbe`) failed; empty if it did not fail, or was not needed"""
    lengths: set[int] = field(default_factory=set)
    """the numbers of tokens per sample that have occurred in the inputs and in layers' outputs so far"""


@dataclass(frozen=True)
class Reading:
    """Defines how a layer's output is turned into the layer's representation: n samples with p features, (n, p)."""

    representation: Representation
    hints: FeatureHints = NO_HINTS
    """what is known about the dimension of the layer's output that holds the features"""
    dims: tuple[int, ...] = (0, 1)
    """the dimensions of the layer's output that may hold the samples, in order of preference"""
    dims_given: bool = False
    """whether the user specified `dims`, with the option batch_dim="""
    part: Literal["encoder", "decoder", "both"] = "encoder"
    """the part of the network whose tokens the layer processes

    "both": the layer's first call in a forward pass processes the encoder's tokens, and later calls process the
    decoder's tokens.
    """

    def is_decoder_call(self, call: str) -> bool:
        """Whether a call of the layer, named "layer" or "layer#k", processes the decoder's tokens."""
        return self.part == "decoder" or (self.part == "both" and "#" in call)

    @property
    def uses_masks(self) -> bool:
        """Whether the representation needs a mask, which says which tokens are padding."""
        if callable(self.representation):
            return n_arguments(self.representation) > 2
        return self.representation != "flatten"

    def is_equivalent(self, other: "Reading") -> bool:
        """Whether this reading and `other` turn the same output into the same representation."""
        ignores_hints = self.representation == "flatten" or callable(self.representation)
        same_dims = (self.dims, self.dims_given) == (other.dims, other.dims_given)
        same_hints = ignores_hints or (self.hints, self.part) == (other.hints, other.part)
        return self.representation == other.representation and same_dims and same_hints

    def output(self, raw: Any, n: int, evidence: Evidence = NO_EVIDENCE) -> Output:
        """Find the tensor to compare in a layer's output with `find_output`, and return the resulting `Output`.

        If no tensor is found and the representation is a callable, the `Output` contains everything that the layer
        returned, and `represent` passes all of this to the callable.

        Args:
            raw: what the layer returned.
            n: the number of samples of the batch.
            evidence: what helps to find the samples, apart from the shape of the output.

        Raises:
            RepresentationError: no tensor is found. If the representation is a callable, the error is raised only if
                `raw` is None.
        """
        evidence = evidence._replace(channels_first=any(one.channels_first for one in self.hints.outputs))
        try:
            return find_output(raw, n, self.dims, self.dims_given, evidence)
        except RepresentationError:
            if callable(self.representation) and raw is not None:
                return Output(raw)
            raise

    def represent(self, found: Output, context: ReadingContext, call: str, inputs: Any = None) -> Tensor:
        """Return the representation of a layer's output: (n, p), or (m, p) if m positions serve as samples.

        Args:
            found: the result of `output`.
            context: the state of the forward pass.
            call: the layer's name, with "#k" for repeated calls.
            inputs: the layer's inputs. The shape of the first input tensor helps to find the dimension that holds the
                features.

        Raises:
            UnclearFeaturesError: the output is (n, p, p), and it is unclear which dimension holds the features.
            RepresentationError: the output has no such representation.
            ValueError: a callable representation returned something other than a dense tensor (n, ...).
        """
        x, n = found.tensor, context.n
        if callable(self.representation):
            x = self._call(self.representation, found, context)
            if not isinstance(x, Tensor) or x.ndim < 1 or x.shape[0] != n:
                shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
                raise ValueError(
                    f"representation= returned {shape}; it must return a tensor ({n}, ...), one row a sample"
                )
            if x.layout != torch.strided:
                raise ValueError(f"representation= returned a {describe_type(x)} tensor; it must return a dense one")
            return flatten(x)
        if self.representation == "flatten":
            return flatten(x)
        if found.complex:  # real and imaginary part are pooled together
            x = torch.view_as_complex(x)
        dims = None if found.layout is None else found.layout.tokens
        known = None if found.layout is None else found.layout.axis
        if found.layout is not None and found.layout.flattened is not None and x.ndim == 3:
            known = 2  # the layer itself had (n * tokens, features)
        axis, certain = context.axes.find(x, self.hints, keeps_shape(found, inputs), dims, known)
        if not certain:
            why = f" ({context.problem})" if context.problem else ""
            raise UnclearFeaturesError(
                f"its output {tuple(x.shape)} has as many tokens as features, and a pass over shorter sequences did "
                f"not tell them apart{why}: give representation= a callable for it, such as lambda x: x.mean(1)"
            )
        context.chosen_axes[call] = axis
        if context.positions is not None and self.representation in BY_POSITION:
            mask = self.mask(found, context.masks, axis, call) if context.positions.grid is None else None
            return context.positions.read(x, axis, mask, followed_mask(dims, x.ndim - 1 if axis == 1 else 1))
        mask = self.mask(found, context.masks, axis, call)
        pool = {"mean": pooling.mean, "cls": pooling.first_token, "last": pooling.last_token}[self.representation]
        return flatten(pool(x, axis, mask))

    def mask(self, found: Output, masks: TokenMasks, axis: int, call: str) -> Tensor | None:
        """Return the mask (n, tokens) of a layer's output, True for real tokens.

        If the layer returned a packed sequence, the mask is computed from the sequence lengths. Otherwise it is the
        mask of the batch that `masks` chooses. Return None if the output has no tokens, or if no mask is chosen.

        Args:
            found: the result of `output`.
            masks: the masks of the batch.
            axis: the dimension of the output that holds the features.
            call: the layer's name, with "#k" for repeated calls.

        Raises:
            RepresentationError: it is unclear which mask the tokens have, or their mask cannot be computed.
            ValueError: the option `masks` names a key that is not the key of a mask in the batch.
        """
        x = found.tensor[..., 0] if found.complex else found.tensor
        if x.ndim != 3:
            return None
        dim = 3 - axis
        n_tokens = x.shape[dim]
        if found.lengths is not None:
            steps = found.lengths.new_ones(n_tokens).cumsum(0)
            return steps <= found.lengths[:, None]
        if not masks.any:
            return None
        dims = None if found.layout is None else found.layout.tokens
        tokens = masks.choose(call, dims, dim, self.is_decoder_call(call), n_tokens)
        return None if tokens is None else masks.mask(tokens, call, n_tokens)

    @staticmethod
    def _call(function: Callable[..., Any], found: Output, context: ReadingContext) -> Any:
        """Call the user's function with the first of (output, batch, mask), as many as `n_arguments` says."""
        if n_arguments(function) < 2:
            return function(found.tensor)
        mask = context.masks.of_input(None if found.layout is None else found.layout.tokens)
        return function(*(found.tensor, context.batch, mask)[: n_arguments(function)])
