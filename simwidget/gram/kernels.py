"""Representation -> Gram matrix.

An offset near the mean is taken from the features before the product, always: a Gram matrix of representations as they
are loses in their common offset the digits that the measures need (errors of 2e-3 to 8e-3 in dCKA, in float32). That
goes by chunks of features that stay near the cache, in memory that is used again, so that it costs little more than the
product alone.
"""

from typing import Protocol

import torch
from torch import Tensor

from simwidget.gram.centring import double_centre
from simwidget.gram.precision import Precision, effective_precision, matmul_precision
from simwidget.gram.products import Products, mirror

CHUNK_ELEMENTS = {"cpu": 2**21}
"""Elements of a representation that are centred at a time: near a CPU's cache; elsewhere bounded scratch."""
DEFAULT_CHUNK_ELEMENTS = 2**24

OFFSET_SAMPLES_RANGE = (4, 8)
"""The offset is the mean of n / 16 samples, within these limits: that leaves a quarter more spread in at most, about,
where the mean of all samples would cost another pass over the representation."""

PADDING = 16
"""Elements between the rows of the scratch memory: rows a power of two apart share the same few places of a cache."""

MAX_SHAPES = 1024
"""Of so many shapes it is kept how they are multiplied."""

CONSTANT_TOLERANCE = 8
"""A representation whose spread is under this many rounding errors of its mean is constant."""


class Kernel(Protocol):
    """Writes what `finish_grams` makes the Gram matrix of a representation x (n, p) into `gram` (n, n).

    Into `square` () goes the squared norm of what was taken from the features, where anything was.
    """

    def __call__(self, x: Tensor, gram: Tensor, square: Tensor, /) -> None: ...


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 stays float64; every other representation, half precision too, is multiplied in float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class LinearKernel:
    r"""The Gram matrix of the features less an offset c near their mean; its scratch memory is used again.

    .. math:: G = (x - c)(x - c)^\top

    Whoever centres G has the Gram matrix of the centred features, to rounding, for any c: what c is decides how many
    digits are left, and near the mean nearly all of them are. `offset_samples` is how many samples it is the mean of.
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
        with matmul_precision("highest", device_type):  # what is constant must be so to rounding
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
        width = max(1, width - width % PADDING)  # which splits into parts
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
        """Scratch memory (n, p), which every other call overwrites, and the products of its rows."""
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
    """Make Gram matrices (R, n, n), in place, of what the kernels wrote: whole, and zero where it is rounding.

    That is where the trace is rounding beside the squared offset (R,): the representation is constant.
    """
    mirror(grams)
    n = grams.shape[-1]
    rounding = (CONSTANT_TOLERANCE * torch.finfo(grams.dtype).eps) ** 2 * n * squares
    trace = grams.diagonal(dim1=-2, dim2=-1).sum(-1)
    grams.masked_fill_((trace <= rounding)[:, None, None], 0.0)


def kernel_gram(x: Tensor, kernel: Kernel) -> Tensor:
    """The Gram matrix (n, n) that a kernel makes of one representation, in the type that it is multiplied in."""
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
    """Class labels (n, 1) -> the centred Gram matrix (n, n) of their indicators: K_ij = 1 in one class, 0 across.

    >>> kernel_gram(torch.tensor([[3], [3], [5], [5]]), same_class_kernel)[0]
    tensor([ 0.5000,  0.5000, -0.5000, -0.5000])
    """
    gram.copy_(double_centre((labels == labels.T).to(gram.dtype)))
