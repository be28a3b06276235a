"""`hash_batch`: a hash of a batch, with which a resumed run checks that its loader repeats the earlier batches."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from simwidget.data.nested import tensors_in

HASHED_ELEMENTS = 1024
"""Largest number of elements of a tensor that `hash_batch` includes in the hash."""


def hash_batch(batch: Any) -> int:
    """Return a 64-bit hash of a batch, as a signed integer.

    The hash covers the dtype and shape of each tensor and, for a dense tensor on the CPU, up to `HASHED_ELEMENTS`
    elements.
    """
    found = hashlib.blake2b(digest_size=8)
    for one in tensors_in(batch):
        tensor = one if isinstance(one, Tensor) else one.data
        found.update(f"{tensor.dtype} {tuple(tensor.shape) if not tensor.is_nested else tensor.numel()}".encode())
        if tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.is_nested:
            flat = tensor.detach().reshape(-1)
            some = flat[:: max(1, len(flat) // HASHED_ELEMENTS)][:HASHED_ELEMENTS].contiguous()
            if not some.is_quantized and not some.is_conj():
                found.update(some.view(torch.uint8).numpy().tobytes())
    return int.from_bytes(found.digest(), "little", signed=True)
