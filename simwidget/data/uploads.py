"""A batch's tensors on the devices that run on them."""

import torch
from torch import Tensor


class Uploads:
    """Brings each tensor of a batch to each device once, for all networks and confounders there.

    What comes from ordinary memory is waited for by nobody: it has left that memory when the call returns. Pinned
    memory is read later, when the loader may be writing into it, so that is waited for.
    """

    def __init__(self) -> None:
        self._copies: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}

    def to(self, tensor: Tensor, device: torch.device) -> Tensor:
        """The tensor on a device: itself where it is there; whoever writes into it copies it first."""
        if tensor.device == device:
            return tensor
        # the tensor is kept as well: while it lives, nothing else has its id
        key = id(tensor), device
        if key not in self._copies:
            non_blocking = device.type == "cuda" and not (tensor.device.type == "cpu" and tensor.is_pinned())
            self._copies[key] = tensor, tensor.detach().to(device, non_blocking=non_blocking)
        return self._copies[key][1]

    def clear(self) -> None:
        self._copies.clear()
