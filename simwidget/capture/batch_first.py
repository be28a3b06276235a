"""Finds the layers of a model that have their samples in dimension 1 because of `batch_first=False`."""

from torch import nn

from simwidget.capture.layers import named_layers
from simwidget.capture.wrappers import innermost


def sequence_first_layers(model: nn.Module) -> frozenset[str]:
    """Return the names of the layers that have their samples in dimension 1, because of `batch_first=False`.

    These are torch's recurrent, attention and Transformer modules with `batch_first=False`, and the layers inside them.
    An inner layer with `batch_first=True` is left out, and so are the layers inside that inner layer. The model itself
    has the name "".
    """
    batch_first: dict[str, bool] = {}
    for name, module in {"": innermost(model), **named_layers(model)}.items():
        own = _batch_first(module)
        above = batch_first.get(_above(name), True) if name else True
        batch_first[name] = above if own is None else own
    return frozenset(name for name, first in batch_first.items() if not first)


def sequence_first_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return the outermost of a model's modules that `sequence_first_layers` names, by name.

    A module inside another of these modules is left out. The model itself has the name "".
    """
    layers = {"": innermost(model), **named_layers(model)}
    names = sequence_first_layers(model)
    return {name: layers[name] for name in layers if name in names and (not name or _above(name) not in names)}


def _above(name: str) -> str:
    return name.rpartition(".")[0]


def _batch_first(module: nn.Module) -> bool | None:
    if isinstance(module, nn.TransformerEncoder | nn.TransformerDecoder) and len(module.layers):
        module = module.layers[0]
    if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        module = module.self_attn
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention | nn.Transformer):
        return bool(module.batch_first)
    return None
