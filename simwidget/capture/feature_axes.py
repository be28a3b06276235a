"""`FeatureAxes`: finds, for each layer's output, the dimension that holds the features."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from simwidget.capture.layers import named_layers
from simwidget.capture.tokens import TokenDims

POOLING_CLASSES = (
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._LPPoolNd,
)


@dataclass(frozen=True)
class FeatureInfo:
    """The number of features in a module's output, and the dimension that holds the features."""

    count: int | None
    """the number of features; None for a pooling module, because pooling works with any number of features"""
    channels_first: bool
    """True if the features are in dimension 1, False if they are in the last dimension"""
    ndim: int | None = None
    """the number of dimensions of the module's output, to detect a later reshape; None if this number can vary"""


@dataclass(frozen=True)
class FeatureHints:
    """What the types of the network's modules tell about the features in a layer's output, before the layer runs."""

    outputs: tuple[FeatureInfo, ...] = ()
    """the `FeatureInfo` of each module in the layer, last module first; modules without `FeatureInfo` are left out

    If no module in the layer has a `FeatureInfo`, the only element is the `FeatureInfo` of the nearest earlier
    module that has no submodules and a known number of features.
    """
    first_inside: FeatureInfo | None = None
    """the `FeatureInfo` of the first module in the layer that has a `FeatureInfo`

    None if the layer has no submodules, or if no module in the layer has a `FeatureInfo`.
    """
    certain: bool = False
    """whether the types of the modules are enough to tell which dimension of an output (n, a, b) holds the features

    For a module without submodules: True if it has a `FeatureInfo`, or is an activation, dropout or `nn.Identity`. For
    a layer with submodules: True if a module in the layer has a `FeatureInfo`, and no module in the layer may have its
    features in dimension 1 of three. A layer with a one-dimensional convolution inside, for example, may transpose its
    input before the convolution, and may transpose the result back.
    """


class FeatureAxis(NamedTuple):
    """The result of `FeatureAxes.find`: the dimension of an output that holds the features."""

    axis: int
    """the dimension"""
    certain: bool = True
    """whether the dimension is known. If not, either of the last two dimensions of an output (n, p, p) may hold the
    features"""


NO_HINTS = FeatureHints()


def feature_hints(model: nn.Module) -> dict[str, FeatureHints]:
    """Return the `FeatureHints` of every layer of a model, by layer name."""
    found = {}
    previous: tuple[FeatureInfo, ...] = ()
    for name, layer in named_layers(model).items():
        inside = [one for one in map(_module_features, layer.modules()) if one is not None]
        block = next(layer.children(), None) is not None
        outputs = tuple(dict.fromkeys(reversed(inside))) or previous
        of_one = not block and (bool(inside) or _is_elementwise(layer))
        turns = any(one.channels_first and one.ndim in (None, 3) for one in inside)
        certain = of_one or (bool(inside) and not turns)
        found[name] = FeatureHints(outputs, inside[0] if block and inside else None, certain)
        if not block and inside and inside[-1].count is not None:
            previous = (inside[-1],)
    return found


def _is_elementwise(module: nn.Module) -> bool:
    parts = type(module).__module__.split(".")
    return isinstance(module, nn.Identity) or (parts[:2] == ["torch", "nn"] and parts[-1] in ("activation", "dropout"))


def _module_features(module: nn.Module) -> FeatureInfo | None:
    if isinstance(module, POOLING_CLASSES):
        return FeatureInfo(None, channels_first=True)
    if isinstance(module, nn.modules.conv._ConvNd):
        return FeatureInfo(module.out_channels, channels_first=True, ndim=module.weight.ndim)
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return FeatureInfo(module.num_features, channels_first=True)
    if isinstance(module, nn.GroupNorm):
        return FeatureInfo(module.num_channels, channels_first=True)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        # several libraries derive a channels-first norm from nn.LayerNorm, and all call it LayerNorm2d
        return FeatureInfo(module.normalized_shape[-1], channels_first="2d" in type(module).__name__)
    if isinstance(module, nn.Linear):
        return FeatureInfo(module.out_features, channels_first=False)
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return FeatureInfo(module.embedding_dim, channels_first=False)
    if isinstance(module, nn.MultiheadAttention):
        return FeatureInfo(module.embed_dim, channels_first=False)
    if isinstance(module, nn.RNNBase):
        width = getattr(module, "proj_size", 0) or module.hidden_size
        return FeatureInfo(width * (2 if module.bidirectional else 1), channels_first=False)
    return None


class FeatureAxes:
    """Finds the dimension of the features in each layer's output, for one forward pass.

    Call `find` in the order in which the layers run. In an output with one or two dimensions, the last dimension holds
    the features. If exactly one of the dimensions 1 and 2 of an output with three dimensions is known to hold tokens,
    the remaining dimension holds the features. In all other outputs, the candidates are dimension 1 (channels first)
    and the last dimension (channels last). Several sources are tried in this order, until one of them decides:

    - each `FeatureInfo` in the attribute `outputs` of the layer's `FeatureHints`;
    - the previous output with three or more dimensions in this forward pass, with its number of features.

    A source decides in two cases:

    1. The number of features equals the size of exactly one candidate. This candidate is chosen.
    2. The number of features equals the sizes of both candidates, or the source is a pooling module. Then
       `channels_first` decides: it is True for convolutions and pooling, False for linear layers, and for the previous
       output True if its features were in dimension 1. It is that of `FeatureHints.first_inside` if the layer has
       submodules and returns the shape of its input, and that of the source otherwise. Channels last is chosen if it
       is that of a convolution whose own output has another number of dimensions.

    If no source decides, an output with three dimensions is read as (n, tokens, features), and an output with more
    dimensions as (n, channels, space...).

    >>> import torch
    >>> axes, hints = FeatureAxes(), FeatureHints((FeatureInfo(8, channels_first=True),))
    >>> axes.find(torch.zeros(2, 8, 5, 5), hints).axis, axes.find(torch.zeros(2, 5, 5, 8), FeatureHints()).axis
    (1, 3)
    """

    def __init__(self) -> None:
        self._previous: FeatureInfo | None = None

    def find(
        self,
        tensor: Tensor,
        hints: FeatureHints,
        keeps_shape: bool = False,
        dims: TokenDims | None = None,
        known: int | None = None,
    ) -> FeatureAxis:
        """Return the dimension that holds the features of a layer's output.

        Args:
            tensor: the output (n, ...).
            hints: the `FeatureHints` of the layer.
            keeps_shape: whether the output has the shape of the layer's input.
            dims: for each dimension of the output except the first, whether it holds tokens; None if this is not known.
            known: the dimension that held the features in an earlier batch; None if this is not known. A known
                dimension is returned without a search.
        """
        last = tensor.ndim - 1
        if last <= 1:
            return FeatureAxis(last)
        of_tokens = [dim for dim, one in enumerate(dims or (), 1) if one is not None]
        certain = True
        if known is not None and known <= last:
            axis = known
        elif last == 2 and len(of_tokens) == 1:
            axis = 3 - of_tokens[0]
        else:
            axis = self._axis(tensor, hints, keeps_shape)
            certain = last > 2 or hints.certain or tensor.shape[1] != tensor.shape[2] or tensor.shape[1] == 1
        self._previous = FeatureInfo(tensor.shape[axis], channels_first=axis == 1)
        return FeatureAxis(axis, certain)

    def _axis(self, tensor: Tensor, hints: FeatureHints, keeps_shape: bool) -> int:
        last = tensor.ndim - 1
        for one in hints.outputs if self._previous is None else (*hints.outputs, self._previous):
            at_first, at_last = tensor.shape[1] == one.count, tensor.shape[last] == one.count
            if one.count is None or (at_first and at_last):
                deciding = hints.first_inside if keeps_shape and hints.first_inside is not None else one
                return 1 if deciding.channels_first and deciding.ndim in (None, tensor.ndim) else last
            if at_first or at_last:
                return 1 if at_first else last
        return last if last == 2 else 1
