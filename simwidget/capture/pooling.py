"""Tokens or positions of one output -> one representation for each sample."""

import torch
from torch import Tensor

from simwidget.capture.outputs import RepresentationError


def flatten(tensor: Tensor) -> Tensor:
    """(n, ...) -> (n, p), without a copy where the memory allows one.

    The order of the features does not enter a Gram matrix, so they are taken as they lie (channels last, say).
    """
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    if tensor.ndim == 1:
        return tensor[:, None]
    if tensor.is_contiguous():
        return tensor.flatten(1)
    order = sorted(range(1, tensor.ndim), key=lambda d: tensor.stride(d), reverse=True)
    return tensor.permute(0, *order).flatten(1)


def mean(x: Tensor, axis: int, mask: Tensor | None = None) -> Tensor:
    """The mean over everything but samples and features: (n, ...) -> (n, features).

    With a mask (n, tokens), of an output with tokens: the mean over those that are real. Half precision is summed in
    float32.

    >>> x = torch.tensor([[[1.0], [3.0], [8.0]]])
    >>> mean(x, 2), mean(x, 2, torch.tensor([[True, True, False]]))
    (tensor([[4.]]), tensor([[2.]]))
    """
    if x.ndim < 3:
        return x
    dims = [dim for dim in range(1, x.ndim) if dim != axis]
    wide = torch.float32 if x.dtype.itemsize < 4 else x.dtype
    if mask is None:
        return x.mean(dims, dtype=wide)
    real = mask.to(x.device)[..., None]
    # where, not a product: a padded position may hold anything, NaN as well
    return torch.where(real, x.movedim(axis, -1).to(wide), 0.0).sum(1) / real.sum(1)


def first_token(x: Tensor, axis: int, mask: Tensor | None = None) -> Tensor:
    """The first real token: (n, tokens, features) -> (n, features)."""
    x = _tokens(x, axis)
    if x.ndim < 3:
        return x
    if mask is None:
        return x[:, 0]
    return _at(x, mask.to(x.device).int().argmax(1))


def last_token(x: Tensor, axis: int, mask: Tensor | None = None) -> Tensor:
    """The last real token: (n, tokens, features) -> (n, features).

    >>> x = torch.arange(6.0).reshape(1, 3, 2)
    >>> last_token(x, 2, torch.tensor([[True, True, False]]))
    tensor([[2., 3.]])
    """
    x = _tokens(x, axis)
    if x.ndim < 3:
        return x
    if mask is None:
        return x[:, -1]
    real = mask.to(x.device).int()
    return _at(x, (real * torch.arange(1, real.shape[1] + 1, device=x.device)).argmax(1))


def _tokens(x: Tensor, axis: int) -> Tensor:
    if x.ndim > 3:
        raise RepresentationError(
            f'its output {tuple(x.shape)} has positions, no tokens: take representation="mean" or "positions" for it'
        )
    return x.movedim(axis, -1)


def _at(x: Tensor, token: Tensor) -> Tensor:
    return x[torch.arange(len(x), device=x.device), token]
