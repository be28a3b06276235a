"""A part of a batch's samples, in the batch's own form."""

from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from simwidget.data.batch import Batch, is_images
from simwidget.data.nested import moved


def take_samples(raw: Any, batch: Batch, which: slice) -> Any:
    """The samples `which` of a batch of the loader; what is not one a sample stays whole.

    Raises:
        RuntimeError: the samples cannot be told apart, in packed sequences or where `forward=` alone knows the batch.

    >>> import torch
    >>> from simwidget.data.batch import split
    >>> raw = (torch.arange(6.0).reshape(3, 2), torch.tensor([7, 8, 9]))
    >>> take_samples(raw, split(raw, 0), slice(1, 3))
    (tensor([[2., 3.],
            [4., 5.]]), tensor([8, 9]))
    """

    def cut(tensor: Tensor) -> Tensor:
        for dim in dict.fromkeys((batch.batch_dim, 0)):
            if dim < tensor.ndim and tensor.shape[dim] == batch.n:
                return tensor.narrow(dim, which.start, min(which.stop, batch.n) - which.start)
        return tensor

    return moved(_lists_cut(raw, batch.n, which), cut)


def _lists_cut(value: Any, n: int, which: slice) -> Any:
    """Lists of images hold a sample in each entry."""
    if isinstance(value, PackedSequence):
        raise RuntimeError("a packed sequence is not split: give smaller batches")
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        if len(value) == n and n > 2 and is_images(value):
            return type(value)(value[which])
        return type(value)(_lists_cut(one, n, which) for one in value)
    if type(value) is dict:
        return {key: _lists_cut(one, n, which) for key, one in value.items()}
    return value
