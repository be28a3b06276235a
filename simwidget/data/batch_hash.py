"""`hash_batch`: computes a hash of a batch. A resumed run uses it to check that the loader repeats its batches."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simwidget.data.batch_objects import attributes, is_batch_object
from simwidget.data.nested import as_mapping, is_dataclass_instance, tensors_in

HASHED_ELEMENTS = 4096
"""The hash of a batch covers at most this many elements of each tensor."""


def hash_batch(batch: Any) -> int:
    """Return a 64-bit hash of a batch, as a signed integer.

    The hash covers all strings, numbers and keys of the batch, and the dtype and shape of each tensor. For a dense
    tensor on the CPU that is not quantized, it also covers the elements. Of a tensor with more than `HASHED_ELEMENTS`
    elements, it covers only that many, at pseudo-random places that depend only on the number of elements. Places at
    regular intervals might all be in the black border of images. A NumPy array of numbers is hashed like a tensor. For
    a batch object (see `is_batch_object`), the hash covers only the tensors in the attributes of the object.
    """
    found = hashlib.blake2b(digest_size=8)
    for part in _parts(batch):
        found.update(part)
        found.update(b";")
    return int.from_bytes(found.digest(), "little", signed=True)


def _parts(value: Any) -> Iterator[bytes]:
    """Yield the bytes to hash for a nested structure, depth first."""
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
    elif is_batch_object(value):
        for part in tensors_in(attributes(value)):
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
    """Return `HASHED_ELEMENTS` pseudo-random indices from 0 to n - 1, the same for each call with the same n."""
    return torch.randint(n, (HASHED_ELEMENTS,), generator=torch.Generator().manual_seed(0))
