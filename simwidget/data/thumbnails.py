"""Makes thumbnails of input images. They show the user the samples on which two layers agree least and most."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

MAX_SIDE = 40
"""The largest height or width of a thumbnail, in pixels."""
MIN_IMAGE_SIDE = 8
"""Smallest height and width of an image, in pixels. Smaller inputs are not treated as images."""

Size = tuple[int, int, int]
"""The size of a thumbnail: height and width in pixels, and number of channels."""
NO_IMAGE: Size = (0, 0, 0)


def thumbnail_size(inputs: Tensor) -> Size:
    """Return the height, width and channels of the thumbnails of input images; `NO_IMAGE` (0, 0, 0) for other inputs.

    Thumbnails keep the aspect ratio of the images and are at most `MAX_SIDE` pixels high and wide; small images are not
    enlarged. Images are floating-point or uint8 tensors (n, c, h, w) with n >= 1, 1 or 3 channels, and at least 8 x 8
    pixels.

    >>> import torch
    >>> thumbnail_size(torch.zeros(2, 3, 80, 60)), thumbnail_size(torch.zeros(2, 1, 28, 28))
    ((40, 30, 3), (28, 28, 1))
    >>> thumbnail_size(torch.zeros(2, 6))
    (0, 0, 0)
    """
    is_numeric = inputs.is_floating_point() or inputs.dtype == torch.uint8
    if not is_numeric or inputs.layout != torch.strided or inputs.ndim != 4 or len(inputs) == 0:
        return NO_IMAGE
    c, h, w = inputs.shape[1:]
    if c not in (1, 3) or min(h, w) < MIN_IMAGE_SIDE:
        return NO_IMAGE
    scale = min(1.0, MAX_SIDE / max(h, w))
    return max(1, round(h * scale)), max(1, round(w * scale)), c


@torch.no_grad()
def thumbnails(inputs: Tensor, size: Size) -> Tensor:
    """Reduce images (n, c, H, W) to thumbnails (n, h, w, c) in uint8; `size` is (h, w, c).

    Each pixel of a thumbnail is the mean over the image area that the pixel covers. Each thumbnail is scaled
    separately, because the loader may have normalised the images in any way. The minimum over its pixels and channels
    becomes 0, and the maximum becomes 255. An image that is constant or has values that are not finite becomes black.

    >>> import torch
    >>> ramp = torch.arange(64.0).reshape(1, 1, 8, 8)
    >>> thumbnails(ramp, (2, 2, 1)).flatten()
    tensor([  0,  28, 227, 255], dtype=torch.uint8)
    """
    h, w, _ = size
    same_size = inputs.shape[2:] == (h, w)
    x = inputs.float() if same_size else interpolate(inputs.float(), (h, w), mode="area")
    low, high = (one.view(-1, 1, 1, 1) for one in x.flatten(1).aminmax(dim=1))
    x = ((x - low) * (255 / (high - low))).nan_to_num_(0.0, 0.0, 0.0)
    return x.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
