"""Which dimension of a layer's output holds its features."""

from dataclasses import dataclass

from torch import Tensor, nn

from simwidget.capture.layers import named_layers

POOLING_CLASSES = (
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._LPPoolNd,
)


@dataclass(frozen=True)
class FeatureInfo:
    """What a module says of its features."""

    count: int | None
    """None where it only says where they are"""
    channels_first: bool
    """whether they come right after the samples (channels first), or last"""
    ndim: int | None = None
    """of the module's own output, where it is always the same; an output of another one was made of it"""


@dataclass(frozen=True)
class FeatureHints:
    """What the modules of a layer, and the one before it, tell of its output's features."""

    outputs: tuple[FeatureInfo, ...] = ()
    """the layer's own, or those of the modules in it, the last ones first; then of the module before it"""
    first_inside: FeatureInfo | None = None
    """of a block, those of the first module in it"""


NO_HINTS = FeatureHints()


def feature_hints(model: nn.Module) -> dict[str, FeatureHints]:
    """For every layer of a model what is told of its features."""
    found = {}
    previous: tuple[FeatureInfo, ...] = ()
    for name, layer in named_layers(model).items():
        inside = [one for one in map(_module_features, layer.modules()) if one is not None]
        block = next(layer.children(), None) is not None
        outputs = tuple(dict.fromkeys(reversed(inside))) or previous
        found[name] = FeatureHints(outputs, inside[0] if block and inside else None)
        if not block and inside and inside[-1].count is not None:
            previous = (inside[-1],)
    return found


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
        # some libraries derive a norm over channels that come first from it, and all call it LayerNorm2d
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
    """Which dimension holds the features, output by output of one forward pass.

    An end of the output with as many features as its modules tell is it: of a block, the last of its modules whose
    number fits; of a module that tells nothing, such as an activation, the one before it. Where both ends fit, the
    kind of module decides, and of a block that keeps its input's shape, that of the first module in it. Where nothing
    fits, three dimensions are (n, tokens, features) and more are (n, channels, space...).

    >>> import torch
    >>> axes, hints = FeatureAxes(), FeatureHints((FeatureInfo(8, channels_first=True),))
    >>> axes.find(torch.zeros(2, 8, 5, 5), hints), axes.find(torch.zeros(2, 5, 5, 8), FeatureHints())
    (1, 3)
    """

    def __init__(self) -> None:
        self._previous: FeatureInfo | None = None

    def find(self, tensor: Tensor, hints: FeatureHints, keeps_shape: bool = False) -> int:
        last = tensor.ndim - 1
        if last <= 1:
            return last
        axis = self._axis(tensor, hints, keeps_shape)
        self._previous = FeatureInfo(tensor.shape[axis], channels_first=axis == 1)
        return axis

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
