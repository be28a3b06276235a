"""`Key` and `Row`: the identifier and the description of one confounder or one call of a layer.

Products of Gram matrices are summed in a matrix (R, R). Each confounder and each call of a layer has one row in this
matrix, and is therefore called a row.
"""

from dataclasses import dataclass

Key = tuple[int | str, str]
"""Identifier of one call of a layer, (position of the network, name of the call), or of a confounder, ("confounder",
name of the confounder)."""


@dataclass
class Row:
    """The description of one confounder or one call of a layer."""

    key: Key
    n_features: int = 0
    dtype: str = ""
    reduced: bool = False
    """whether the representation or the products of its features may have a lower precision than float32"""
    kind: str = ""
    """class name of the layer's module"""
    missing: str | None = None
    """the reason why this layer has no values; None if no reason is known before the sums are evaluated"""
