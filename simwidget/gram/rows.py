"""Rows of the sums: one for each confounder and for each call of a layer."""

from dataclasses import dataclass

Key = tuple[int | str, str]
"""Identifies a row: (position of the network, name of the layer's call), or ("confounder", its name)."""


@dataclass
class Row:
    """The description of one row of the sums."""

    key: Key
    n_features: int = 0
    dtype: str = ""
    reduced: bool = False
    """whether its products have a lower precision than float32"""
    kind: str = ""
    """name of the class of the layer's module"""
    missing: str | None = None
    """why this layer has no numbers, where the reason is known without reading the sums"""
