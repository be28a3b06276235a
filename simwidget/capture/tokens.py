"""`Tokens`: how a dimension of a layer's output follows the tokens of a mask."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Tokens(NamedTuple):
    """How a dimension of a layer's output follows the tokens of a mask."""

    key: str
    """the key of the mask; empty if the dimension follows several masks, or if it is unclear which one"""
    map: str
    """the name of the `LengthMap` that gives the layer's tokens from those of the mask; empty if there is none"""


TokenDims = tuple[Tokens | None, ...]
"""For each dimension of an output (n, ...) except the first: how it follows a mask; None if it follows no mask."""


def token_dims_from_json(values: Sequence[Any] | None) -> TokenDims | None:
    """Return the `TokenDims` with the given values, read from a checkpoint; raise ValueError if they are invalid."""
    if values is None:
        return None
    found = []
    for one in values:
        if one is not None and not (len(one) == 2 and all(type(text) is str for text in one)):
            raise ValueError("a dimension of a layer's output follows no such mask")
        found.append(None if one is None else Tokens(*one))
    return tuple(found)


def followed_mask(dims: TokenDims | None, dim: int) -> str | None:
    """Return the key of the mask that dimension `dim` of an output (n, ...) follows.

    Returns:
        The key; "" if the dimension follows no mask; None if this is not known.
    """
    if dims is None:
        return None
    tokens = dims[dim - 1]
    return "" if tokens is None else tokens.key or None
