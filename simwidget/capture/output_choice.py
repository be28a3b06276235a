"""`describe_choice`: says which tensor of a layer's output is compared, if several tensors could be."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from simwidget.capture.outputs import Layout
from simwidget.data.entries import entries_of


def describe_choice(output: Any, layout: Layout, n: int, dims: Sequence[int]) -> str | None:
    """Return which tensor of a layer's output is compared and which are not, such as "output[0], not output[1]".

    Return None if no other tensor of the output has n samples. Of the other tensors, only packed sequences and dense
    floating-point or complex tensors are considered.

    Args:
        output: what the layer returned.
        layout: which tensor of the output is compared, and which of its dimensions holds the samples.
        n: the number of samples.
        dims: the dimensions that may hold the samples.

    >>> import torch
    >>> describe_choice((torch.zeros(4, 2), {"scores": torch.zeros(4, 3)}), Layout(0, 0), 4, (0, 1))
    "output[0], not output[1]['scores']"
    """
    if isinstance(output, Tensor):
        return None
    entries = list(entries_of(output, "output"))
    compared = entries.pop(layout.place).path
    others = [one.path for one in entries if _has_samples(one.tensor, n, dims)]
    return f"{compared}, not {' or '.join(others)}" if others else None


def _has_samples(tensor: Any, n: int, dims: Sequence[int]) -> bool:
    if isinstance(tensor, PackedSequence):
        return int(tensor.batch_sizes[0]) == n
    if tensor.is_nested or not (tensor.is_floating_point() or tensor.is_complex()):
        return False
    # as in `find_output`, a dimension other than the first may hold the samples only in (steps, n, features)
    return any(dim < tensor.ndim and tensor.shape[dim] == n and (dim == 0 or tensor.ndim == 3) for dim in dims)
