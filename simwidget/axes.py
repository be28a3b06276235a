"""Which dimension of a layer's output holds what, as its module tells: its features, and a batch that is not first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from simwidget.layers import named_layers


@dataclass(frozen=True)
class Features:
    """What a module says of its features."""

    count: int
    first: bool
    """whether they come right after the samples (channels first), or last"""
    ndim: int | None = None
    """of the module's own output, where it is always the same; an output of another one was made of it"""


def features_of(module: nn.Module) -> tuple[Features, ...]:
    """What a module and those inside it tell of features, the last ones first; empty where none tells."""
    told = (_own_features(one) for one in reversed(list(module.modules())))
    return tuple(dict.fromkeys(one for one in told if one is not None))


def _own_features(module: nn.Module) -> Features | None:
    if isinstance(module, nn.modules.conv._ConvNd):
        return Features(module.out_channels, first=True, ndim=module.weight.ndim)
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return Features(module.num_features, first=True)
    if isinstance(module, nn.GroupNorm):
        return Features(module.num_channels, first=True)
    if isinstance(module, nn.LayerNorm):
        # some libraries derive a norm over channels that come first from it, and all call it LayerNorm2d
        return Features(module.normalized_shape[-1], first="2d" in type(module).__name__)
    if isinstance(module, nn.Linear):
        return Features(module.out_features, first=False)
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return Features(module.embedding_dim, first=False)
    if isinstance(module, nn.MultiheadAttention):
        return Features(module.embed_dim, first=False)
    if isinstance(module, nn.RNNBase):
        width = getattr(module, "proj_size", 0) or module.hidden_size
        return Features(width * (2 if module.bidirectional else 1), first=False)
    return None


class FeatureAxes:
    """Which dimension holds the features, output by output of one forward pass.

    An end of the output with as many features as its module tells is it: of a block, the last of its modules whose
    number fits. A module that tells nothing, such as an activation, has as many features as the output before. Where
    no number fits one end alone, the kind of module decides, and at last the number of dimensions: three are
    (n, tokens, features) and more are (n, channels, space...).

    >>> import torch
    >>> axes = FeatureAxes()
    >>> axes.of(torch.zeros(2, 8, 5, 5), (Features(8, first=True),)), axes.of(torch.zeros(2, 5, 5, 8), ())
    (1, 3)
    """

    def __init__(self) -> None:
        self._before: Features | None = None

    def of(self, tensor: Tensor, told: Sequence[Features]) -> int:
        last = tensor.ndim - 1
        if last <= 1:
            return last
        axis = self._axis(tensor, told if self._before is None else (*told, self._before))
        self._before = Features(tensor.shape[axis], first=axis == 1)
        return axis

    def _axis(self, tensor: Tensor, told: Sequence[Features]) -> int:
        last = tensor.ndim - 1
        for one in told:
            at_first, at_last = tensor.shape[1] == one.count, tensor.shape[last] == one.count
            if at_first or at_last:
                as_told = one.first and one.ndim in (None, tensor.ndim)
                return 1 if at_first and (as_told or not at_last) else last
        return last if last == 2 else 1


def part_of(layer: str, order: Sequence[str]) -> Literal["encoder", "decoder", "both"]:
    """Where a layer is in a network with an encoder and a decoder, told by their names and the modules' order.

    What is neither inside the one nor the other runs after both where it is registered after the decoder, as heads
    are; and in both, one after the other, where it comes before, as shared embeddings do.

    >>> order = ["shared", "encoder", "encoder.0", "decoder", "decoder.0", "head"]
    >>> [part_of(layer, order) for layer in order[::2]]
    ['both', 'encoder', 'decoder']
    """
    inside = [name for name in layer.split(".") if "encoder" in name or "decoder" in name]
    if inside:
        return "decoder" if "decoder" in inside[-1] else "encoder"
    decoder = next((place for place, name in enumerate(order) if "decoder" in name), None)
    if decoder is None:
        return "encoder"
    return "decoder" if order.index(layer) > decoder else "both"


def sequence_first(model: nn.Module) -> frozenset[str]:
    """Names of the layers that belong to a `batch_first=False` module of torch, whose samples come second.

    The model itself has the name "".
    """
    told: dict[str, bool] = {}
    for name, module in {"": model, **named_layers(model)}.items():
        own = _batch_first(module)
        above = told.get(name.rpartition(".")[0], True) if name else True
        told[name] = above if own is None else own
    return frozenset(name for name, first in told.items() if not first)


def _batch_first(module: nn.Module) -> bool | None:
    if isinstance(module, nn.TransformerEncoder | nn.TransformerDecoder):
        module = module.layers[0]
    if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        module = module.self_attn
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention | nn.Transformer):
        return bool(module.batch_first)
    return None
