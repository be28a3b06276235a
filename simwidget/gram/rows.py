"""What a row of the sums is of."""

from dataclasses import dataclass

Key = tuple[int | str, str]
"""What a representation is of: a network's position and a layer's call, or "confounder" and its name."""


@dataclass
class Row:
    """What is known of one row of the sums."""

    key: Key
    n_features: int = 0
    dtype: str = ""
    reduced: bool = False
    """whether its products have fewer digits than float32"""
    kind: str = ""
    """the class of the layer's module"""
    missing: str | None = None
    """why this layer has no numbers, as found on this side of the device"""
