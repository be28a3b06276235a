"""Kernels: they compute the Gram matrix of one representation.

An offset near the mean is always subtracted from the features before the product. Without that, a large common offset
of the features takes up the digits that the measures need (errors of 2e-3 to 8e-3 in dCKA in float32). The subtraction
works on chunks of features that fit into the cache, in scratch memory that is reused, so that it costs little more than
the product alone.
"""

from typing import Protocol

import torch
from torch import Tensor

from simwidget.gram.centring import double_centre
from simwidget.gram.precision import Precision, effective_precision, matmul_precision
from simwidget.gram.products import Products, mirror

CHUNK_ELEMENTS = {"cpu": 2**21}
"""By device type, elements of a representation that are centred at a time: about the size of a CPU's cache."""
DEFAULT_CHUNK_ELEMENTS = 2**24
"""The same for other device types, where it only bounds the scratch memory."""

OFFSET_SAMPLES_RANGE = (4, 8)
"""The offset is the mean of n / 16 samples, but of no fewer and no more than these. Compared with the mean of all
samples it leaves at most about a quarter more spread, and it saves a second pass over the representation."""

PADDING = 16
"""Unused elements between the rows of the scratch memory: rows whose distance is a power of two would evict each other
from the cache."""

MAX_SHAPES = 1024
"""Largest number of shapes for which a kernel keeps its scratch views and the plan of the product."""

CONSTANT_TOLERANCE = 8
"""A representation is constant when its spread is less than this many rounding errors of its mean."""


class Kernel(Protocol):
    """Writes at least the lower triangle of the Gram matrix of a representation x (n, p) into `gram` (n, n).

    The squared norm of the offset that was subtracted from the features is written into `square` (); a kernel that
    subtracts none leaves it at 0. `finish_grams` completes the matrix.
    """

    def __call__(self, x: Tensor, gram: Tensor, square: Tensor, /) -> None: ...


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 stays float64; every other representation, half precision too, is multiplied in float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class LinearKernel:
    r"""Linear kernel: the Gram matrix of the features minus an offset c near their mean.

    .. math:: G = (x - c)(x - c)^\top

    Centring G gives the Gram matrix of the centred features for any c, up to rounding; the closer c is to the mean, the
    smaller the rounding error. The scratch memory is kept for the next call.

    Args:
        precision: of the products, "highest" or "high"; see `matmul_precision`.
        offset_samples: the number of samples whose mean is c; chosen by n if None.
    """

    def __init__(self, precision: Precision = "highest", offset_samples: int | None = None) -> None:
        self._precision = precision
        self._offset_samples = offset_samples
        self._scratch: dict[tuple[torch.device, torch.dtype], Tensor] = {}
        self._prepared: dict[tuple[torch.device, torch.dtype, int, int], tuple[Tensor, Products]] = {}
        self._weights: dict[tuple[torch.device, torch.dtype, int], Tensor] = {}

    def __call__(self, x: Tensor, gram: Tensor, square: Tensor) -> None:
        device_type = x.device.type
        precision = effective_precision(self._precision, device_type, x.shape[0])
        with matmul_precision("highest", device_type):  # else a constant representation would have a spread
            offset = self._offset(x, gram.dtype)
            torch.dot(offset, offset, out=square)
            if precision == "highest":
                self._multiply(x, offset, gram)
                return
        with matmul_precision(precision, device_type):
            self._multiply(x, offset, gram)

    def _multiply(self, x: Tensor, offset: Tensor, gram: Tensor) -> None:
        n, p = x.shape
        width = CHUNK_ELEMENTS.get(x.device.type, DEFAULT_CHUNK_ELEMENTS) // n
        width = max(1, width - width % PADDING)  # a multiple of PADDING can be split into equal parts
        if p <= width:
            self._multiply_chunk(x, offset, gram, add=False)
            return
        for start in range(0, p, width):
            chunk = slice(start, start + width)
            self._multiply_chunk(x[:, chunk], offset[chunk], gram, add=start > 0)

    def _multiply_chunk(self, x: Tensor, offset: Tensor, gram: Tensor, add: bool) -> None:
        n, p = x.shape
        centred, products = self._scratch_products(n, p, offset)
        torch.sub(x, offset, out=centred)
        products.write(gram, add)

    def _scratch_products(self, n: int, p: int, like: Tensor) -> tuple[Tensor, Products]:
        """Scratch memory (n, p) like `like`, which the next call overwrites, and the products of its rows."""
        key = like.device, like.dtype, n, p
        found = self._prepared.get(key)
        if found is None:
            stride = p + PADDING
            scratch = self._scratch.get(key[:2])
            if scratch is None or len(scratch) < n * stride or len(self._prepared) >= MAX_SHAPES:
                self._prepared.clear()
                scratch = self._scratch[key[:2]] = like.new_empty(n * stride)
            centred = scratch[: n * stride].view(n, stride)[:, :p]
            found = self._prepared[key] = centred, Products(centred)
        return found

    def _offset(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        n = x.shape[0]
        low, high = OFFSET_SAMPLES_RANGE
        k = min(n, self._offset_samples or max(low, min(high, n // 16)))
        weights = self._weights.get((x.device, dtype, k))
        if weights is None:
            weights = self._weights[x.device, dtype, k] = torch.full((k,), 1 / k, dtype=dtype, device=x.device)
        step = n // k
        rows = x[: k * step : step]
        return torch.matmul(weights, rows if rows.dtype == dtype else rows.to(dtype))


def finish_grams(grams: Tensor, squares: Tensor) -> None:
    """Complete the Gram matrices (R, n, n) that kernels wrote, in place.

    The upper triangle is filled in. A matrix whose trace is no more than the rounding error of the squared norm of its
    offset, `squares` (R,), belongs to a constant representation and is set to zero.
    """
    mirror(grams)
    n = grams.shape[-1]
    rounding = (CONSTANT_TOLERANCE * torch.finfo(grams.dtype).eps) ** 2 * n * squares
    trace = grams.diagonal(dim1=-2, dim2=-1).sum(-1)
    grams.masked_fill_((trace <= rounding)[:, None, None], 0.0)


def kernel_gram(x: Tensor, kernel: Kernel) -> Tensor:
    """The Gram matrix (n, n) of one representation x (n, p) by a kernel, in the dtype of `working_dtype`."""
    grams = torch.zeros(1, len(x), len(x), dtype=working_dtype(x.dtype), device=x.device)
    squares = grams.new_zeros(1)
    kernel(x, grams[0], squares[0])
    finish_grams(grams, squares)
    return grams[0]


def linear_gram(x: Tensor) -> Tensor:
    r"""The Gram matrix of the centred features of one representation.

    .. math:: K = (x - \mu)(x - \mu)^\top, \quad \mu = \tfrac{1}{n} \sum_i x_i

    Args:
        x: representation (n, p), any real floating dtype. Products accumulate in float32, in float64 for float64.

    Returns:
        (n, n), float32 or float64, on the device of `x`. All zeros when the representation is the same for every
        sample (to rounding); NaN where it holds values that are not finite.

    >>> import torch
    >>> linear_gram(torch.tensor([[1.0, 100.0], [3.0, 100.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    return double_centre(kernel_gram(x, LinearKernel(offset_samples=len(x))))


def same_class_kernel(labels: Tensor, gram: Tensor, square: Tensor) -> None:
    """Kernel of class labels (n, 1): the centred Gram matrix of K_ij = 1 where i and j have the same label, else 0.

    >>> kernel_gram(torch.tensor([[3], [3], [5], [5]]), same_class_kernel)[0]
    tensor([ 0.5000,  0.5000, -0.5000, -0.5000])
    """
    gram.copy_(double_centre((labels == labels.T).to(gram.dtype)))
