"""Image-like inputs -> small pictures for the eye."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

MAX_SIDE = 40
"""Pixels of a thumbnail's longer side, at most."""
MIN_IMAGE_SIDE = 8
"""Inputs with a side under this many pixels are not taken for images."""

Size = tuple[int, int, int]
"""Height, width and channels."""
NO_IMAGE: Size = (0, 0, 0)


def thumbnail_size(inputs: Tensor) -> Size:
    """The size of the inputs' thumbnails, in their own ratio and never enlarged; `NO_IMAGE` for other inputs.

    Image-like are floating or uint8 tensors (n, c, h, w) with one channel or three, and sides of 8 pixels or more.

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
    """Inputs (n, c, H, W) -> uint8 pictures (n, h, w, c), each pixel the mean of its area.

    Loaders normalise in ways that are not told, so every picture is scaled by itself: its least value over all pixels
    and channels becomes 0 and its largest 255. One without contrast, or with values that are not finite, is black.

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
