"""Which dimension of a layer's output holds what, as its module tells: its features, and a batch that is not first."""

from dataclasses import dataclass

from torch import Tensor, nn

from simwidget.layers import named_layers


@dataclass(frozen=True)
class Features:
    """What a module says of its features."""

    count: int
    first: bool
    """whether they come right after the samples (channels first), or last"""


def features_of(module: nn.Module) -> Features | None:
    """The features of a module's output: its own, or for a block those of its last submodule that tells."""
    for one in reversed(list(module.modules())):
        found = _own_features(one)
        if found is not None:
            return found
    return None


def _own_features(module: nn.Module) -> Features | None:
    if isinstance(module, nn.modules.conv._ConvNd):
        return Features(module.out_channels, first=True)
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


def feature_axis(tensor: Tensor, features: Features | None) -> int:
    """The dimension of an output (n, ...) that holds the features.

    The number of features decides, where it fits one end alone; else the kind of module that has it; and where nothing
    tells, three dimensions are (n, tokens, features) and more are (n, channels, space...).
    """
    last = tensor.ndim - 1
    if last <= 1:
        return last
    default = last if last == 2 else 1
    if features is None:
        return default
    at_first, at_last = tensor.shape[1] == features.count, tensor.shape[last] == features.count
    if at_first and at_last:
        return 1 if features.first else last
    return 1 if at_first else last if at_last else default


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
