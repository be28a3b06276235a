"""`Uploads`: copies of a batch's tensors on the devices of the networks."""

import torch
from torch import Tensor


class Uploads:
    """Copies each tensor of a batch to each device at most once, for all networks and confounders on that device.

    The loader may overwrite a tensor as soon as `to` returns. A copy from pageable memory to a GPU does not wait for
    the GPU. A copy from pinned memory is synchronous, because otherwise the loader could overwrite the tensor before
    the GPU has read it.
    """

    def __init__(self) -> None:
        self._copies: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}

    def to(self, tensor: Tensor, device: torch.device) -> Tensor:
        """Return a copy of `tensor` on `device`, or `tensor` itself if it is already there.

        Later calls with the same tensor and device return the same copy. Therefore do not write into the copy.
        """
        if tensor.device == device:
            return tensor
        # the source is kept too, so that no other tensor can get its id
        key = id(tensor), device
        if key not in self._copies:
            non_blocking = device.type == "cuda" and not (tensor.device.type == "cpu" and tensor.is_pinned())
            self._copies[key] = tensor, tensor.detach().to(device, non_blocking=non_blocking)
        return self._copies[key][1]

    def clear(self) -> None:
        """Release all copies."""
        self._copies.clear()
