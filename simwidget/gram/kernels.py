"""Kernels: functions that compute the Gram matrix (n, n) of one representation (n, p), with n samples and p features.

Before the product, the linear kernel subtracts the same vector, the offset, from each sample. The offset is near most
of the samples. Without this subtraction, features with a large mean cause large rounding errors (2e-3 to 8e-3 in dCKA
in float32). The subtraction takes little time: it processes the features in chunks that fit into the CPU's cache, and
reuses its scratch memory.
"""

from typing import Protocol

import torch
from torch import Tensor

from simwidget.gram.centring import double_centre
from simwidget.gram.precision import Precision, effective_precision, matmul_precision
from simwidget.gram.products import Products, mirror
from simwidget.gram.rounding import LARGEST_SHARE, find_rounding, may_be_rounding

CHUNK_ELEMENTS = {"cpu": 2**21}
"""By device type, the largest number of elements of a representation that are processed at a time. On a CPU they fit
into a typical cache."""
DEFAULT_CHUNK_ELEMENTS = 2**24
"""The same number for device types that are not in `CHUNK_ELEMENTS`. The number bounds the scratch memory."""

PADDING = 16
"""Number of unused elements between consecutive rows of the scratch memory. Without this padding, the distance between
rows in memory is often a power of two, and such rows evict each other from the cache."""

MAX_SHAPES = 1024
"""Largest number of shapes (n, p) for which a kernel keeps a view of its scratch memory and a `Products` object."""


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

    For every c, centring G gives the Gram matrix of the centred features, up to rounding. The closer c is to most of
    the samples, the smaller the rounding error is. For each feature, c is the median of three samples. The mean is not
    used: one sample with huge values would move the mean far away from all other samples. The scratch memory for x - c
    is kept for the next call.

    Args:
        precision: precision of the product, "highest" or "high"; see `matmul_precision`.
    """

    def __init__(self, precision: Precision = "highest") -> None:
        self._precision = precision
        self._scratch: dict[tuple[torch.device, torch.dtype], Tensor] = {}
        self._prepared: dict[tuple[torch.device, torch.dtype, int, int], tuple[Tensor, Products]] = {}

    def __call__(self, x: Tensor, gram: Tensor, square: Tensor) -> None:
        device_type = x.device.type
        precision = effective_precision(self._precision, device_type, x.shape[0])
        offset = median_of_three(x, gram.dtype)
        with matmul_precision(precision, device_type):
            torch.dot(offset, offset, out=square)
            self._multiply(x, offset, gram, device_type)

    def _multiply(self, x: Tensor, offset: Tensor, gram: Tensor, device_type: str) -> None:
        n, p = x.shape
        width = CHUNK_ELEMENTS.get(device_type, DEFAULT_CHUNK_ELEMENTS) // n
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


def median_of_three(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the median of three samples for each feature of a representation x (n, p): (p,), in `dtype`.

    The three samples are evenly distributed over the n samples.

    >>> median_of_three(torch.tensor([[1.0, 5.0], [2.0, 6.0], [900.0, 4.0]]), torch.float32)
    tensor([2., 5.])
    """
    n = x.shape[0]
    samples = x[n // 6], x[n // 2], x[5 * n // 6]
    first, second, third = samples if x.dtype == dtype else (sample.to(dtype) for sample in samples)
    return third.clamp(first.minimum(second), first.maximum(second))


def write_gram(x: Tensor, kernel: Kernel, gram: Tensor, square: Tensor) -> bool:
    """Write the Gram matrix of a representation x (n, p) into `gram` (n, n), for `finish_grams`.

    On a CPU, the Gram matrix becomes zero if `find_rounding` finds that the representation may be constant up to
    rounding errors. On other devices only `finish_grams` makes such a test, because reading a value here would wait for
    the device.

    Args:
        x: the representation.
        kernel: computes the Gram matrix.
        gram: (n, n), for the result; see `Kernel`.
        square: (), for the squared norm of the offset; see `Kernel`. The result is 0 if `find_rounding` was called, so
            that `finish_grams` does not test this representation again.

    Returns:
        Whether a noticeable share of the variance may be nothing but rounding errors. Always False on other devices
        than a CPU.
    """
    kernel(x, gram, square)
    if not gram.is_cpu or not may_be_rounding(gram, square):
        return False
    found = find_rounding(x, gram.dtype)
    square.zero_()
    if found.is_constant:
        gram.zero_()
    return found.is_uncertain


def finish_grams(grams: Tensor, squares: Tensor) -> Tensor:
    """Complete Gram matrices in place, after kernels have written at least the lower triangles.

    Copies the lower triangles to the upper triangles. Sets a Gram matrix to zero if the total variance may be nothing
    but rounding errors; `LARGEST_SHARE` defines the limit.

    Args:
        grams: (R, n, n), the Gram matrices.
        squares: (R,), for each Gram matrix, the squared norm of the offset that the kernel subtracted; 0 to leave the
            Gram matrix as it is.

    Returns:
        (R,) bool: which Gram matrices were not zero before, and have been set to zero.
    """
    mirror(grams)
    trace = grams.diagonal(dim1=-2, dim2=-1).sum(-1)
    is_constant = (trace <= LARGEST_SHARE[grams.dtype] * grams.shape[-1] * squares) & trace.isfinite()
    grams.masked_fill_(is_constant[:, None, None], 0.0)
    return is_constant & (trace > 0)


def kernel_gram(x: Tensor, kernel: Kernel) -> Tensor:
    """Return the Gram matrix (n, n) of a representation x (n, p), computed by `kernel`, in float32 or float64."""
    return gram_and_rounding(x, kernel)[0]


def gram_and_rounding(x: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Return the result (n, n) of `kernel_gram`, and whether much of the variance may be rounding errors: bool ().

    "Much" is a share of at least `MIN_UNCERTAIN_SHARE` on a CPU, and the total variance on other devices.
    """
    grams = torch.zeros(1, len(x), len(x), dtype=working_dtype(x.dtype), device=x.device)
    squares = grams.new_zeros(1)
    is_uncertain = write_gram(x, kernel, grams[0], squares[0])
    is_constant = finish_grams(grams, squares)[0]
    return grams[0], is_constant | is_uncertain


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
    return double_centre(kernel_gram(x, LinearKernel()))


def same_class_kernel(labels: Tensor, gram: Tensor, square: Tensor) -> None:
    """Kernel for class labels (n, 1): writes the double-centred matrix K into `gram` (n, n).

    Before centring, K_ij is 1 if samples i and j have the same label, and 0 otherwise.

    >>> kernel_gram(torch.tensor([[3], [3], [5], [5]]), same_class_kernel)[0]
    tensor([ 0.5000,  0.5000, -0.5000, -0.5000])
    """
    gram.copy_(double_centre((labels == labels.T).to(gram.dtype)))
