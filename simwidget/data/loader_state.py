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
"""The number of elements of each tensor that are hashed, at most."""


@dataclass(frozen=True)
class LoaderState:
    """The state of a loader after some batches: all that is needed to continue after them in another run."""

    n_batches: int
    """the number of batches that are completed"""
    initial_random_state: Mapping[str, Tensor]
    """the random number generators before the first batch, including those of the loader"""
    random_state: Mapping[str, Tensor]
    """the global random number generators after the last completed batch"""
    hashes: Sequence[int]
    """one for each completed batch (`hash_batch`)"""

    def arrays(self) -> dict[str, Tensor]:
        """The state as named tensors for a checkpoint; `from_arrays` reads them."""
        return {
            **{f"start/{name}": one for name, one in self.initial_random_state.items()},
            **{f"now/{name}": one for name, one in self.random_state.items()},
            "marks": torch.tensor(list(self.hashes), dtype=torch.int64),
        }

    @staticmethod
    def from_arrays(n_batches: int, arrays: Mapping[str, Tensor]) -> "LoaderState":
        """The state after `n_batches` batches, from `arrays()`; raises MalformedError for anything else."""
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
    """A 64-bit hash of a batch: of the dtypes and shapes of its tensors and of some elements of those on the CPU."""
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
