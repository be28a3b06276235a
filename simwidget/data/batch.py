"""`Batch`: the inputs, labels, masks and number of samples of one batch."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from simwidget.data.graphs import Graphs
from simwidget.data.images import is_image_list
from simwidget.data.labels import LABEL_KEYS
from simwidget.data.masks import ATTENTION_MASK_KEYS, NO_MASKS, PADDING_MASK_KEYS, Masks
from simwidget.data.nested import is_sequence, tensors_in
from simwidget.data.uploads import Uploads


@dataclass(frozen=True)
class Batch:
    """One batch of n samples: a batch of the loader, or what the user's `inputs=` function returned for a network."""

    n: int
    raw: Any
    """the batch in its original structure"""
    inputs: Any
    """the part of `raw` that is the network's input: for example a tensor, a mapping or a list of images. A network
    with several required arguments also gets the elements of `raw` after this part."""
    batch_dim: int = 0
    """the dimension of the input tensors that indexes the samples"""
    labels: Tensor | None = None
    """(n,) integer class labels; None if the batch has no class labels"""
    masks: Masks = NO_MASKS
    n_is_told: bool = False
    """whether `n` was counted by the user's function `batch_size`"""
    graphs: Graphs | None = None
    """which node belongs to which sample, if the samples are the graphs of a batch object; otherwise None"""
    named: Mapping[str, Any] = field(default_factory=dict)
    """the entries of `inputs` by key; if `inputs` is no mapping, the arguments of the network's `forward` by name"""
    uploads: Uploads = field(default_factory=Uploads, repr=False, compare=False)
    """copies of the batch's tensors on the devices of the networks"""

    @cached_property
    def input_tensor(self) -> Tensor | None:
        """The tensor `input_entry` with the samples in dimension 0, (n, ...); None if `input_entry` is None."""
        return None if self.input_entry is None else self.samples_first(self.input_entry)

    @cached_property
    def input_entry(self) -> Tensor | None:
        """The first floating-point tensor of `inputs`; if there is none, the first tensor of another dtype.

        A tensor is skipped if it is not dense, does not have n samples, or is a label or mask in a mapping. None if no
        tensor is left, or if `inputs` is a list of images.
        """
        inputs = self.inputs
        if isinstance(inputs, Mapping):
            excluded = (*LABEL_KEYS, *ATTENTION_MASK_KEYS, *PADDING_MASK_KEYS)
            inputs = {key: value for key, value in inputs.items() if key not in excluded}
        images = is_sequence(inputs) and is_image_list(inputs)
        tensors = () if images else tensors_in(inputs)
        fitting = [one for one in tensors if self.samples_first(one) is not None]
        return next((one for one in fitting if one.is_floating_point()), fitting[0] if fitting else None)

    def samples_first(self, tensor: Any) -> Tensor | None:
        """Return a tensor of the batch with the samples in dimension 0; None if it is not dense or lacks n samples."""
        dense = isinstance(tensor, Tensor) and tensor.layout == torch.strided and not tensor.is_nested
        if not dense or tensor.ndim < 1:
            return None
        dim = self.batch_dim if self.batch_dim < tensor.ndim else 0
        if tensor.shape[dim] != self.n:
            return None
        return tensor.movedim(dim, 0) if dim else tensor

    def token_counts(self) -> Iterator[int]:
        """Yield the possible numbers of tokens or positions per sample, for each tensor of `inputs` with n samples."""
        for tensor in tensors_in(self.inputs):
            first = self.samples_first(tensor)
            if first is not None:
                yield from token_counts(first)

    def with_labels(self, labels: Tensor | None) -> "Batch":
        """Return a copy of the batch with `labels` (n,), or the batch itself if it has labels or `labels` is None."""
        return self if labels is None or self.labels is not None else replace(self, labels=labels)


def token_counts(tensor: Tensor) -> Iterator[int]:
    """Yield the possible numbers of tokens or positions per sample in a tensor (n, ...).

    For three or more dimensions there are two possible numbers, because the features may be in the last dimension or in
    dimension 1.
    """
    if tensor.ndim == 2:
        yield tensor.shape[1]
    elif tensor.ndim > 2:
        yield math.prod(tensor.shape[1:-1])
        yield math.prod(tensor.shape[2:])
