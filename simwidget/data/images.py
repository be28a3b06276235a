"""Which lists of tensors are lists of images."""

from typing import Any

from torch import Tensor

MIN_IMAGE_SIDE = 8
"""Pixels: a list of tensors (c, h, w) with smaller sides is not taken for a list of images."""


def is_image_list(value: Any) -> bool:
    """Whether this is a list of single images (c, h, w), one a sample, as detection models take them."""
    return bool(value) and all(
        isinstance(one, Tensor) and one.ndim == 3 and one.shape[0] in (1, 3) and min(one.shape[1:]) >= MIN_IMAGE_SIDE
        for one in value
    )
