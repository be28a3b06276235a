"""Detects lists of images, which are the input format of torchvision's object detection models."""

from typing import Any

from torch import Tensor

MIN_IMAGE_SIDE = 8
"""Smallest height and width of an image, in pixels. Smaller tensors are not treated as images."""


def is_image_list(value: Any) -> bool:
    """Whether `value` is a non-empty list or tuple of images, one for each sample.

    An image is a tensor (channels, height, width) with 1 or 3 channels and at least `MIN_IMAGE_SIDE` pixels per side.
    """
    return bool(value) and all(
        isinstance(one, Tensor) and one.ndim == 3 and one.shape[0] in (1, 3) and min(one.shape[1:]) >= MIN_IMAGE_SIDE
        for one in value
    )
