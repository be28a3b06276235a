"""`Key` and `Row`: the identifier and the description of one confounder or one call of a layer.

Confounders and calls of layers are called rows, because each has one row in the matrix of summed products.
"""

from dataclasses import dataclass

Key = tuple[int | str, str]
"""Identifier of a layer or confounder: (position of the network, name of the layer's call), or ("confounder", name of
the confounder)."""


@dataclass
class Row:
    """The description of one row of the matrix of summed products: of a confounder, or of a call of a layer."""

    key: Key
    n_features: int = 0
    dtype: str = ""
    reduced: bool = False
    """whether the representation, or the products of its features, have a lower precision than float32"""
    kind: str = ""
    """name of the class of the layer's module"""
    missing: str | None = None
    """the reason why this layer has no values, if the reason is known before the sums are evaluated; otherwise None"""
