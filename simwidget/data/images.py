"""Detects batches that are lists of images, as object detection models take them."""

from typing import Any

from torch import Tensor

MIN_IMAGE_SIDE = 8
"""Pixels. Tensors with a smaller height or width are not treated as images."""


def is_image_list(value: Any) -> bool:
    """Whether `value` is a non-empty list of images (c, h, w), one for each sample, with 1 or 3 channels."""
    return bool(value) and all(
        isinstance(one, Tensor) and one.ndim == 3 and one.shape[0] in (1, 3) and min(one.shape[1:]) >= MIN_IMAGE_SIDE
        for one in value
    )
