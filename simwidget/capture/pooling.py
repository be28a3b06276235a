"""Turns a layer's output (n, ...) into one vector for each sample, by flattening or pooling."""

import torch
from torch import Tensor

from simwidget.capture.outputs import RepresentationError


def flatten(tensor: Tensor) -> Tensor:
    """Flatten a layer's output (n, ...) to n vectors (n, p), without a copy if the output's memory layout allows that.

    Complex numbers become pairs of real numbers. The features keep the order in which they lie in memory, for example
    channels last. Any order is allowed, because a Gram matrix does not depend on the order of the features.
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
    """Return the mean of an output over all dimensions except samples and features: (n, ...) -> (n, features).

    An output (n, features) is returned unchanged. For other outputs, values with fewer than 32 bits, such as bfloat16,
    are summed in float32, and the result is float32.

    Args:
        x: the output (n, ...).
        axis: the dimension of `x` that holds the features.
        mask: (n, tokens) bool, True for the tokens that are averaged. If None, all positions are averaged.

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
    # `where` instead of a product, because padding may contain NaN
    return torch.where(real, x.movedim(axis, -1).to(wide), 0.0).sum(1) / real.sum(1)


def first_token(x: Tensor, axis: int, mask: Tensor | None = None) -> Tensor:
    """Return, for each sample, the first token that is not padding: (n, tokens, features) -> (n, features).

    An output (n, features) is returned unchanged. The arguments are those of `mean`.
    """
    x = _features_last(x, axis)
    if x.ndim < 3:
        return x
    if mask is None:
        return x[:, 0]
    return _select(x, mask.to(x.device).int().argmax(1))


def last_token(x: Tensor, axis: int, mask: Tensor | None = None) -> Tensor:
    """Return, for each sample, the last token that is not padding: (n, tokens, features) -> (n, features).

    An output (n, features) is returned unchanged. The arguments are those of `mean`.

    >>> x = torch.arange(6.0).reshape(1, 3, 2)
    >>> last_token(x, 2, torch.tensor([[True, True, False]]))
    tensor([[2., 3.]])
    """
    x = _features_last(x, axis)
    if x.ndim < 3:
        return x
    if mask is None:
        return x[:, -1]
    real = mask.to(x.device).int()
    return _select(x, (real * torch.arange(1, real.shape[1] + 1, device=x.device)).argmax(1))


def _features_last(x: Tensor, axis: int) -> Tensor:
    """Move the dimension `axis` of an output, which holds the features, to the end.

    Raises RepresentationError if the output has more than three dimensions.
    """
    if x.ndim > 3:
        raise RepresentationError(
            f'its output {tuple(x.shape)} has positions, no tokens: take representation="mean" or "positions" for it'
        )
    return x.movedim(axis, -1)


def _select(x: Tensor, token: Tensor) -> Tensor:
    """Return token number `token[i]` of each sample `x[i]`: (n, tokens, features) -> (n, features)."""
    return x[torch.arange(len(x), device=x.device), token]
