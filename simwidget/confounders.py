"""What dCKA is asked to remove -> functions of a batch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from simwidget.batches import Batch

Confounder = tuple[str, Callable[[Batch], Tensor]]
ConfounderOption = None | str | Callable[[Any], Tensor] | Sequence[str | Callable[[Any], Tensor]]


def resolve_confounders(option: ConfounderOption) -> list[Confounder]:
    """The named confounders of an option: "input", a callable on the loader's batch, a list of these, or None."""
    found: dict[str, Callable[[Batch], Tensor]] = {}
    several = option if isinstance(option, list | tuple) else [] if option is None else [option]
    for one in several:
        if one == "input":
            found["input"] = _input
        elif callable(one):
            name = name_of(one)
            found[name if name not in found else f"{name}#{len(found)}"] = _on_batch(one)
        else:
            raise ValueError(f'confounder={one!r}: choose "input", a callable on the batch, a list of these, or None')
    return list(found.items())


def _input(batch: Batch) -> Tensor:
    if batch.inputs.dtype in (torch.int64, torch.int32, torch.bool) or batch.inputs.is_complex():
        kind = str(batch.inputs.dtype).removeprefix("torch.")
        raise ValueError(
            f"the input is {kind}, whose inner products mean nothing: give confounder= a callable from the batch to a "
            'float tensor, or take measures=("cka",)'
        )
    return batch.inputs if batch.inputs.is_floating_point() else batch.inputs.float()


def confounder_tensor(name: str, confounder: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
    """The confounder's values (n, ...) for one batch; raises ValueError when it gives something else."""
    tensor = confounder(batch)
    if not isinstance(tensor, Tensor) or tensor.ndim < 1 or len(tensor) != batch.n:
        found = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ValueError(f"confounder {name!r} gave {found}; it must give a tensor ({batch.n}, ...), one row a sample")
    return tensor


def _on_batch(function: Callable[[Any], Tensor]) -> Callable[[Batch], Tensor]:
    def confounder(batch: Batch) -> Tensor:
        tensor = function(batch.whole)
        if isinstance(tensor, Tensor):
            tensor = tensor.detach().to(batch.inputs.device)
            return tensor if tensor.is_floating_point() else tensor.float()
        return tensor

    return confounder


def name_of(function: Any) -> str:
    """How a callable option is named in the result."""
    return getattr(function, "__name__", type(function).__name__)
