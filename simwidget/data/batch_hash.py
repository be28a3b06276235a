"""`hash_batch`: a hash of a batch, with which a resumed run checks that its loader repeats the earlier batches."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simwidget.data.nested import as_mapping, is_dataclass_instance

HASHED_ELEMENTS = 4096
"""Largest number of elements of a tensor that `hash_batch` includes in the hash."""


def hash_batch(batch: Any) -> int:
    """Return a 64-bit hash of a batch, as a signed integer.

    The hash covers all texts, numbers and keys of the batch, the dtype and shape of each tensor and, for a dense tensor
    on the CPU, up to `HASHED_ELEMENTS` elements at pseudo-random places, which are the same for equal shapes. Places at
    regular intervals might all be in the black border of images.
    """
    found = hashlib.blake2b(digest_size=8)
    for part in _parts(batch):
        found.update(part)
        found.update(b";")
    return int.from_bytes(found.digest(), "little", signed=True)


def _parts(value: Any) -> Iterator[bytes]:
    """Yield what is hashed of a nested structure, depth first."""
    if isinstance(value, Tensor):
        yield from _tensor_parts(value)
    elif isinstance(value, str | bytes | bool | int | float | None):
        yield f"{type(value).__name__} {value!r}".encode("utf-8", "surrogatepass")
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        yield from _tensor_parts(torch.from_numpy(np.array(value)))
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _parts(key)
            yield from _parts(part)
    elif isinstance(value, tuple | list):
        yield f"{len(value)}".encode()
        for part in value:
            yield from _parts(part)
    elif is_dataclass_instance(value):
        for key, part in as_mapping(value).items():
            yield key.encode()
            yield from _parts(part)


def _tensor_parts(tensor: Tensor) -> Iterator[bytes]:
    yield f"{tensor.dtype} {tuple(tensor.shape) if not tensor.is_nested else tensor.numel()}".encode()
    is_plain = tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.is_nested
    if not is_plain or tensor.is_quantized:
        return
    values = tensor.detach().resolve_conj().resolve_neg()
    if values.numel() > HASHED_ELEMENTS:
        flat = _places(values.numel())
        # indices for each dimension: a flattened view of a strided tensor would be a copy
        values = values[torch.unravel_index(flat, values.shape)]
    yield values.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@lru_cache(maxsize=64)
def _places(n: int) -> Tensor:
    """Return `HASHED_ELEMENTS` pseudo-random numbers from 0 to n - 1."""
    return torch.randint(n, (HASHED_ELEMENTS,), generator=torch.Generator().manual_seed(0))
