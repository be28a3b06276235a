"""`LoaderState`: the part of a checkpoint that lets a resumed run continue with the next batch of the loader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.files.fields import MalformedError
from simwidget.restore.randomness import RandomState


@dataclass(frozen=True)
class LoaderState:
    """The state of a loader after `n_batches` batches. Another run can continue from this state."""

    n_batches: int
    """the number of completed batches"""
    initial_random_state: Mapping[str, Tensor]
    """the states of the global random number generators and of the loader's generators before the first batch, by
    generator name"""
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

        Raises MalformedError if there are not exactly `n_batches` hashes, or if `random_state` is invalid.
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
