"""`take_samples`: selects a range of samples from a batch, to split a batch that does not fit into memory."""

from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from simwidget.data.batch import Batch
from simwidget.data.batch_objects import is_batch_object
from simwidget.data.images import is_image_list
from simwidget.data.nested import map_tensors
from simwidget.text.printable import describe_type


def take_samples(raw: Any, batch: Batch, samples: slice) -> Any:
    """Return the samples `samples.start` to `samples.stop - 1` of a batch of n samples, in the structure of the batch.

    Two kinds of values are sliced: tensors with n entries in the batch dimension or in the first dimension, and lists
    or tuples of n >= 3 images. All other values are returned whole.

    Args:
        raw: the batch as the loader yields it.
        batch: the same batch, as parsed by `parse_batch`.
        samples: the range of samples, a slice with `start` and `stop`.

    Raises:
        RuntimeError: the batch contains a packed sequence or a batch object (see `is_batch_object`). Or the user's
            function `batch_size` counted the samples: it is then unknown which tensors have one entry for each sample.

    >>> import torch
    >>> from simwidget.data.parsing import parse_batch
    >>> raw = (torch.arange(6.0).reshape(3, 2), torch.tensor([7, 8, 9]))
    >>> take_samples(raw, parse_batch(raw, 0), slice(1, 3))
    (tensor([[2., 3.],
            [4., 5.]]), tensor([8, 9]))
    """
    if batch.n_is_told:
        raise RuntimeError("a batch counted by batch_size= cannot be split into smaller batches: use smaller batches")

    masks = {id(batch.named[key]) for key in batch.masks.real if key in batch.named}  # they are (n, tokens)

    def narrow(tensor: Tensor) -> Tensor:
        for dim in (0,) if id(tensor) in masks else dict.fromkeys((batch.batch_dim, 0)):
            if dim < tensor.ndim and tensor.shape[dim] == batch.n:
                return tensor.narrow(dim, samples.start, min(samples.stop, batch.n) - samples.start)
        return tensor

    return map_tensors(_slice_image_lists(raw, batch.n, samples), narrow)


def _slice_image_lists(value: Any, n: int, samples: slice) -> Any:
    """Return a copy of a nested structure in which every list or tuple of n >= 3 images is sliced by `samples`."""
    if isinstance(value, PackedSequence):
        raise RuntimeError("a packed sequence cannot be split into smaller batches: use a smaller batch size")
    if is_batch_object(value):
        raise RuntimeError(f"{describe_type(value)} cannot be split into smaller batches: use smaller batches")
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        if len(value) == n and n > 2 and is_image_list(value):
            return type(value)(value[samples])
        return type(value)(_slice_image_lists(one, n, samples) for one in value)
    if type(value) is dict:
        return {key: _slice_image_lists(one, n, samples) for key, one in value.items()}
    return value
