"""`Tokens`: how a dimension of a layer's output follows the tokens of a mask.

A mask says which tokens of an input are padding. A dimension of an output follows the tokens of a mask if its size
changes with the number of tokens in a forward pass over shorter sequences, see `TokenProbe`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Tokens(NamedTuple):
    """How a dimension of a layer's output follows the tokens of a mask."""

    key: str
    """the key of the mask in the batch; empty if it is unclear which of several masks the dimension follows"""
    map: str
    """the name of the `LengthMap` from this mask to the mask of the layer's tokens; empty if none is certain"""


TokenDims = tuple[Tokens | None, ...]
"""For each dimension of an output (n, ...) except the first: the `Tokens`; None if the dimension follows no mask."""


def token_dims_from_json(values: Sequence[Any] | None) -> TokenDims | None:
    """Return the `TokenDims` for `values`, read from a checkpoint; raise ValueError if `values` are invalid."""
    if values is None:
        return None
    found = []
    for one in values:
        if one is not None and not (len(one) == 2 and all(type(text) is str for text in one)):
            raise ValueError("a dimension of a layer's output cannot follow a mask in this way")
        found.append(None if one is None else Tokens(*one))
    return tuple(found)


def followed_mask(dims: TokenDims | None, dim: int) -> str | None:
    """Return the key of the mask that dimension `dim` of an output (n, ...) follows.

    Returns:
        The key; "" if the dimension follows no mask; None if the key is not known, or if `dims` is None.
    """
    if dims is None:
        return None
    tokens = dims[dim - 1]
    return "" if tokens is None else tokens.key or None
