"""`LoaderState`: how far a run has read the loader, as stored in a checkpoint, with hashes of the batches."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from simwidget.data.nested import tensors_in
from simwidget.restore.randomness import RandomState
from simwidget.text.untrusted import MalformedError

HASHED_ELEMENTS = 1024
"""Largest number of elements of a tensor that `hash_batch` includes in the hash."""


@dataclass(frozen=True)
class LoaderState:
    """The state of a loader after `n_batches` batches, from which another run can continue with the next batch."""

    n_batches: int
    """the number of batches that are completed"""
    initial_random_state: Mapping[str, Tensor]
    """the states of the global and the loader's random number generators before the first batch, by generator name"""
    random_state: Mapping[str, Tensor]
    """the states of the global random number generators after the last completed batch, by generator name"""
    hashes: Sequence[int]
    """the hash of each completed batch, computed by `hash_batch`"""

    def arrays(self) -> dict[str, Tensor]:
        """Return the state, except `n_batches`, as named tensors for a checkpoint; `from_arrays` reads them."""
        return {
            **{f"start/{name}": one for name, one in self.initial_random_state.items()},
            **{f"now/{name}": one for name, one in self.random_state.items()},
            "marks": torch.tensor(list(self.hashes), dtype=torch.int64),
        }

    @staticmethod
    def from_arrays(n_batches: int, arrays: Mapping[str, Tensor]) -> "LoaderState":
        """Return the state after `n_batches` batches, from the named tensors that `arrays()` returned.

        Raises MalformedError if there are not exactly `n_batches` hashes, or if the final random state is invalid.
        """
        start, now = (
            {name.removeprefix(begin): one for name, one in arrays.items() if name.startswith(begin)}
            for begin in ("start/", "now/")
        )
        marks = arrays.get("marks", torch.zeros(0, dtype=torch.int64))
        if marks.dtype != torch.int64 or marks.shape != (n_batches,):
            raise MalformedError(f"it has {tuple(marks.shape)} marks for {n_batches} batches")
        RandomState.from_arrays(now)
        return LoaderState(n_batches, start, now, marks.tolist())


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
