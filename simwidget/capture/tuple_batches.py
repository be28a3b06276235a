"""`assign_elements`: decides which parameters of a network's `forward` get the elements of a tuple batch.

A tuple batch is a batch that is a tuple or list.
"""

from collections.abc import Sequence
from inspect import Parameter, Signature
from typing import Any

import torch
from torch import Tensor

from simwidget.data.labels import LABEL_KEYS, is_class_labels

NAMES = {
    "images": ("pixel_values", "pixels", "image", "images", "img", "imgs"),
    "tokens": ("input_ids", "token_ids", "ids", "text", "texts", "tokens", "caption", "captions"),
    "mask": ("attention_mask",),
}
"""For each kind of tensor: the names of the parameters that take a tensor of this kind."""


TYPES = "token_type_ids"
"""The name of the parameter that takes the segments of tokens, a table of 0 and 1 like a mask."""


class UnclearElementsError(ValueError):
    """Raised if the elements of a batch cannot be passed in their order, and no other assignment is certain."""


def assign_elements(elements: Sequence[Any], signature: Signature, n: int) -> dict[str, Any] | None:
    """Return the arguments of a network for a tuple batch, by parameter name, if the arguments are certain.

    The arguments are certain in two cases. Class labels are never among the arguments.

    1. The names of the parameters and the kinds of the tensors fit in one way only: images (n, c, h, w) are for a
       parameter such as `pixel_values`, token ids (n, tokens) for a parameter such as `input_ids`, and the mask of
       these tokens for `attention_mask`. All required parameters must get a tensor. Tensors that fit no parameter in
       this way are left out.
    2. The batch has class labels, so that its other tensors are inputs. `forward` requires one argument at most, and
       the number of its parameters that can take a tensor is the number of these inputs. The inputs are assigned to
       these parameters in order.

    Args:
        elements: the elements of the batch.
        signature: the signature of the network's `forward`.
        n: the number of samples of the batch.

    Returns:
        The arguments by parameter name. None if the arguments are not certain; pass the elements in their order then.

    Raises:
        UnclearElementsError: the arguments are not certain, and passing the elements in their order is wrong: a
            parameter for images would get token ids, or a parameter for token ids would get images.
    """
    parameters = [name for name, one in signature.parameters.items() if _takes_tensor(one)]
    required = [name for name in parameters if signature.parameters[name].default is Parameter.empty]
    if len(parameters) < 2:
        return None
    tensors = [one for one in elements if isinstance(one, Tensor) and not is_class_labels(one, n)]
    kinds = _kinds(tensors)
    in_order = dict(zip(parameters, kinds, strict=False))
    fits = not any(_contradicts(name, in_order[name]) for name in [*required, parameters[0]] if name in in_order)
    found = _by_kind(tensors, kinds, parameters)
    is_complete = len(found) == sum(kind != "" for kind in kinds)
    if set(required) <= set(found) and (len(found) > 1 or (found and not fits and is_complete)):
        return found
    if not fits:
        shapes = ", ".join(f"{str(one.dtype).removeprefix('torch.')} {tuple(one.shape)}" for one in tensors)
        raise UnclearElementsError(f"its elements are {shapes}, and it is unclear which parameters they are for")
    has_labels = any(is_class_labels(one, n) for one in elements)
    if has_labels and len(required) < 2 and len(tensors) == len(parameters):
        pairs = dict(zip(parameters, tensors, strict=True))
        return None if any(_contradicts(name, in_order[name]) for name in pairs) else pairs
    return None


def _takes_tensor(parameter: Parameter) -> bool:
    """Whether a parameter may take an input tensor by name, judged by its name, default and annotation."""
    by_name = parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    annotation = parameter.annotation
    annotated = annotation is not Parameter.empty and "Tensor" not in str(annotation)
    possible = parameter.default in (None, Parameter.empty) and not annotated
    return by_name and possible and parameter.name not in LABEL_KEYS


def _kinds(tensors: Sequence[Tensor]) -> list[str]:
    """Return the kind of each tensor, one of the keys of `NAMES`, or "" for other tensors."""
    ids = [one for one in tensors if _is_table_of_integers(one) and not _is_binary(one)]
    kinds = []
    for one in tensors:
        if one.ndim == 4 and (one.is_floating_point() or one.dtype == torch.uint8):
            kinds.append("images")
        elif any(one is table for table in ids):
            kinds.append("tokens")
        elif len(ids) == 1 and one.shape == ids[0].shape and _is_table_of_integers(one) and _has_one_run(one):
            kinds.append("mask")
        else:
            kinds.append("")
    return kinds


def _is_table_of_integers(tensor: Tensor) -> bool:
    integers = (torch.bool, torch.int16, torch.int32, torch.int64)
    return tensor.dtype in integers and tensor.layout == torch.strided and not tensor.is_nested and tensor.ndim == 2


def _is_binary(tensor: Tensor) -> bool:
    """Whether a tensor contains only 0 and 1, as a mask or a table of targets does."""
    return tensor.dtype == torch.bool or bool(((tensor == 0) | (tensor == 1)).all())


def _has_one_run(table: Tensor) -> bool:
    """Whether the ones in each row of a table of 0 and 1 stand side by side, as in masks and in types of tokens."""
    starts = (table[:, 1:] != 0) & (table[:, :-1] == 0)
    return bool((starts.sum(1) + (table[:, 0] != 0) <= 1).all())


def _contradicts(name: str, kind: str) -> bool:
    """Whether a parameter of this name takes images and `kind` is "tokens", or takes tokens and `kind` is "images"."""
    return {kind, _kind_of_name(name)} == {"images", "tokens"}


def _kind_of_name(name: str) -> str:
    return next((kind for kind, names in NAMES.items() if name in names), "")


def _hides_one_id(mask: Tensor, ids: Tensor) -> bool:
    """Whether a table of 0 and 1 is the mask of token ids: where it has 0, all ids are the same, that of padding."""
    hidden = ids[(mask == 0).to(ids.device)]
    return bool((hidden == hidden[:1]).all())


def _by_kind(tensors: Sequence[Tensor], kinds: Sequence[str], parameters: Sequence[str]) -> dict[str, Any]:
    """Return the tensors that are the only ones of their kind, by the name of the only parameter for this kind.

    If `forward` has a parameter `token_type_ids`, a table of 0 and 1 is the mask if it hides only padding, that is, one
    and the same id. Otherwise the table holds the types of the tokens.
    """
    found: dict[str, Any] = {}
    takes_types = TYPES in parameters
    ids = next((tensor for tensor, kind in zip(tensors, kinds, strict=True) if kind == "tokens"), None)
    kinds = [
        "types" if kind == "mask" and takes_types and ids is not None and not _hides_one_id(tensor, ids) else kind
        for tensor, kind in zip(tensors, kinds, strict=True)
    ]
    for tensor, kind in zip(tensors, kinds, strict=True):
        names = [name for name in parameters if name in {**NAMES, "types": (TYPES,)}.get(kind, ())]
        if len(names) == 1 and kinds.count(kind) == 1:
            found[names[0]] = tensor
    return found
