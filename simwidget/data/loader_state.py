"""A place in a loader's batches, as a checkpoint holds it, and the hashes by which batches are known again."""

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
"""Elements of each tensor of a batch by which it is known again."""


@dataclass(frozen=True)
class LoaderState:
    """A state in a loader's batches, and what it takes to come there again."""

    n_batches: int
    initial_random_state: Mapping[str, Tensor]
    """the random number generators before the first batch, the loader's own too"""
    random_state: Mapping[str, Tensor]
    """and here; without the loader's own"""
    hashes: Sequence[int]
    """one for each batch until here"""

    def arrays(self) -> dict[str, Tensor]:
        return {
            **{f"start/{name}": one for name, one in self.initial_random_state.items()},
            **{f"now/{name}": one for name, one in self.random_state.items()},
            "marks": torch.tensor(list(self.hashes), dtype=torch.int64),
        }

    @staticmethod
    def from_arrays(n_batches: int, arrays: Mapping[str, Tensor]) -> "LoaderState":
        """Raises MalformedError for what `arrays` did not give."""
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
    """A number by which a batch is known again, of some of its elements; of tensors on a device, of their shapes."""
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
