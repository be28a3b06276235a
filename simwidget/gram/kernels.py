"""Kernels: functions that compute the Gram matrix (n, n) of one representation (n, p), with n samples and p features.

Before the product, the linear kernel subtracts an offset from each sample: a vector near the mean of the samples.
Without this subtraction, features with a large mean cause large rounding errors (2e-3 to 8e-3 in dCKA in float32). The
subtraction takes little time: it processes the features in chunks that fit into the CPU's cache, and reuses its scratch
memory.
"""

from typing import Protocol

import torch
from torch import Tensor

from simwidget.gram.centring import double_centre
from simwidget.gram.precision import Precision, effective_precision, matmul_precision
from simwidget.gram.products import Products, mirror

CHUNK_ELEMENTS = {"cpu": 2**21}
"""By device type, the largest number of elements of a representation that are processed at a time. On a CPU they fit
into a typical cache."""
DEFAULT_CHUNK_ELEMENTS = 2**24
"""The same number for device types that are not in `CHUNK_ELEMENTS`. The number bounds the scratch memory."""

OFFSET_SAMPLES_RANGE = (4, 8)
"""Smallest and largest number of samples whose mean is the offset. Between these limits, the number is n / 16 for n
samples. If n is less than 4, all samples are used. More samples would take longer to read, and would reduce the
mean squared distance of the samples from the offset by at most about a fifth."""

PADDING = 16
"""Number of unused elements between consecutive rows of the scratch memory. Without this padding, the distance between
rows in memory is often a power of two, and such rows evict each other from the cache."""

MAX_SHAPES = 1024
"""Largest number of shapes (n, p) for which a kernel keeps a view of its scratch memory and a `Products` object."""

CONSTANT_TOLERANCE = 8
"""A representation counts as constant if the root mean square distance of its samples from the offset is at most
`CONSTANT_TOLERANCE` e |c|. Here e is the machine epsilon, and |c| is the norm of the offset."""


class Kernel(Protocol):
    """A function that writes the Gram matrix of a representation x (n, p) into `gram` (n, n).

    The kernel may leave out the elements above the diagonal, because `finish_grams` later writes them. If the kernel
    subtracts an offset from each sample, it writes the squared norm of the offset into the scalar `square` (). Before
    the call, `square` is 0.
    """

    def __call__(self, x: Tensor, gram: Tensor, square: Tensor, /) -> None: ...


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the products for a representation of this dtype: float64 for float64, otherwise float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class LinearKernel:
    r"""Linear kernel: subtracts an offset c (p,) from a representation x (n, p) and computes the Gram matrix G.

    .. math:: G = (x - c)(x - c)^\top

    The offset c is near the mean of the n samples. For every c, centring G gives the Gram matrix of the centred
    features, up to rounding. The closer c is to the mean, the smaller the rounding error is. The scratch memory for
    x - c is kept for the next call.

    Args:
        precision: precision of the product, "highest" or "high"; see `matmul_precision`.
        offset_samples: the number of samples whose mean is c; by default it depends on n, see `OFFSET_SAMPLES_RANGE`.
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
        """Return scratch memory (n, p), and the `Products` object that computes the inner products of its rows.

        The memory has the dtype and device of `like`. The next call may return the same memory.
        """
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
    """Complete Gram matrices in place, after kernels have written at least the lower triangles.

    Copies the lower triangles to the upper ones, and sets the Gram matrices of constant representations to zero.
    `CONSTANT_TOLERANCE` defines which representations are constant.

    Args:
        grams: (R, n, n), the Gram matrices.
        squares: (R,), for each Gram matrix, the squared norm of the offset that the kernel subtracted.
    """
    mirror(grams)
    n = grams.shape[-1]
    rounding = (CONSTANT_TOLERANCE * torch.finfo(grams.dtype).eps) ** 2 * n * squares
    trace = grams.diagonal(dim1=-2, dim2=-1).sum(-1)
    grams.masked_fill_((trace <= rounding)[:, None, None], 0.0)


def kernel_gram(x: Tensor, kernel: Kernel) -> Tensor:
    """Return the Gram matrix (n, n) of a representation x (n, p), computed by `kernel`, in float32 or float64."""
    grams = torch.zeros(1, len(x), len(x), dtype=working_dtype(x.dtype), device=x.device)
    squares = grams.new_zeros(1)
    kernel(x, grams[0], squares[0])
    finish_grams(grams, squares)
    return grams[0]


def linear_gram(x: Tensor) -> Tensor:
    r"""Return the Gram matrix K of one representation x with centred features.

    .. math:: K = (x - \mu)(x - \mu)^\top, \quad \mu = \tfrac{1}{n} \sum_i x_i

    Args:
        x: representation (n, p), with n samples and p features, in any real floating dtype. Products are computed in
            float64 if `x` is float64, otherwise in float32.

    Returns:
        (n, n), float32 or float64, on the device of `x`. All elements are 0 if all samples are equal up to rounding.
        All elements are NaN if `x` has an element that is not finite.

    >>> import torch
    >>> linear_gram(torch.tensor([[1.0, 100.0], [3.0, 100.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    return double_centre(kernel_gram(x, LinearKernel(offset_samples=len(x))))


def same_class_kernel(labels: Tensor, gram: Tensor, square: Tensor) -> None:
    """Kernel for class labels (n, 1): writes the double-centred matrix K into `gram` (n, n).

    Before centring, K_ij is 1 if samples i and j have the same label, and 0 otherwise.

    >>> kernel_gram(torch.tensor([[3], [3], [5], [5]]), same_class_kernel)[0]
    tensor([ 0.5000,  0.5000, -0.5000, -0.5000])
    """
    gram.copy_(double_centre((labels == labels.T).to(gram.dtype)))
