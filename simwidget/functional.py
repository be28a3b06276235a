"""CKA and dCKA of arrays, without models.

A representation is an array or tensor (n, p): p features of n samples. CKA and dCKA are computed as in a
run over a data set that has a single batch with all n samples.
"""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from simwidget.capture.pooling import flatten
from simwidget.estimate.accumulators import GramAccumulator
from simwidget.estimate.evaluation import point_estimate
from simwidget.gram.kernels import LinearKernel, kernel_gram
from simwidget.measures import make_measures
from simwidget.measures.base import MeasureOptions


def cka(x: "Tensor | ArrayLike", y: "Tensor | ArrayLike", *, unbiased: bool = True) -> float:
    r"""Linear CKA of two representations of the same samples (Kornblith et al. 2019).

    .. math:: \mathrm{CKA} = \frac{\operatorname{HSIC}(K, L)}
              {\sqrt{\operatorname{HSIC}(K, K) \operatorname{HSIC}(L, L)}}

    where K and L are the Gram matrices of `x` and `y` after their features are centred.

    Args:
        x: representation (n, p), an array or a tensor. An input (n, ...) with more dimensions is flattened to (n, p).
        y: representation (n, q) of the same n samples.
        unbiased: use HSIC_1 (Song et al. 2012); otherwise the biased HSIC_0.

    Returns:
        CKA. It is 1 for representations that are equal up to rotation, translation and scale. For unrelated
        representations, the unbiased estimate is about 0 and may be negative; the biased estimate is near 0 only if n
        is much larger than p and q. NaN if a representation is constant.

    Raises:
        ValueError: the numbers of samples differ, or are below 4 (2 for the biased estimator).

    >>> x = [[0.0, 1.0], [2.0, 1.0], [1.0, 5.0], [4.0, 4.0], [0.0, 0.0]]
    >>> rotated = [[-b, a] for a, b in x]
    >>> round(cka(x, rotated), 6)
    1.0
    """
    return _evaluate("cka", x, y, [], unbiased)


def dcka(
    x: "Tensor | ArrayLike",
    y: "Tensor | ArrayLike",
    confounder: "Tensor | ArrayLike | Sequence[Tensor | ArrayLike]",
    *,
    unbiased: bool = True,
) -> float:
    """Deconfounded linear CKA of two representations of the same samples (Cui et al. 2022).

    The centred Gram matrices of `x` and `y` are regressed on the centred Gram matrices of the confounders. dCKA is the
    CKA of the residuals.

    Args:
        x: representation (n, p), an array or a tensor. An input (n, ...) with more dimensions is flattened to (n, p).
        y: representation (n, q) of the same n samples.
        confounder: an array or tensor (n, ...) for the same samples, such as the models' input; or a list of several
            arrays or tensors.
        unbiased: as for `cka`.

    Returns:
        dCKA, on the same scale as CKA. NaN if a representation is constant or is completely explained by the
        confounders.

    Raises:
        ValueError: as for `cka`.

    >>> import torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> z, a, b = torch.randn(3, 200, 4, generator=generator)
    >>> cka(a + z, b + z) > 0.2 > abs(dcka(a + z, b + z, z))
    True
    """
    confounders = list(confounder) if isinstance(confounder, list | tuple) else [confounder]
    return _evaluate("dcka", x, y, confounders, unbiased)


def _evaluate(name: str, x: Any, y: Any, confounders: list[Any], unbiased: bool) -> float:
    (measure,) = make_measures((name,), MeasureOptions(unbiased=unbiased))
    tensors = [_representation(array) for array in (*confounders, x, y)]
    n = len(tensors[-1])
    if any(len(tensor) != n for tensor in tensors):
        raise ValueError(f"representations of {[len(t) for t in tensors]} samples: give all for the same samples")
    if n < measure.rows.min_samples:
        raise ValueError(f"{n} samples: this estimator needs at least {measure.rows.min_samples}")
    grams = [kernel_gram(tensor, LinearKernel()) for tensor in tensors]  # `measure.rows` centres these
    dtype = torch.float64 if any(gram.dtype == torch.float64 for gram in grams) else torch.float32
    state = GramAccumulator(len(grams), measure.rows.factor, grams[0].device)
    rows = measure.rows(torch.stack([gram.to(dtype) for gram in grams]), len(confounders))
    state.add(rows, measure.rows.weight(n), batch=0)
    return point_estimate(measure, state.sums(), len(confounders))


def _representation(array: Any) -> Tensor:
    tensor = torch.as_tensor(array)
    return flatten(tensor if tensor.is_floating_point() else tensor.double())
