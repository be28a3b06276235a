"""The measures on arrays, without models.

Representations are (n, p) arrays or tensors of the same n samples; products follow the same path as in a run.
"""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from simwidget.capture.pooling import flatten
from simwidget.estimate.accumulators import GramAccumulator
from simwidget.estimate.evaluation import point_estimate
from simwidget.gram.kernels import linear_gram
from simwidget.measures import make_measures
from simwidget.measures.base import MeasureOptions


def cka(x: "Tensor | ArrayLike", y: "Tensor | ArrayLike", *, unbiased: bool = True) -> float:
    """Linear CKA of two representations (n, p) and (n, q) of the same n samples.

    Returns about 0 for unrelated representations and 1 for equal ones; unbiased estimates may be negative. NaN when
    one is constant. Raises ValueError for unequal n, or fewer than 4 samples (2 for the biased estimator).

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
    """Deconfounded linear CKA: CKA of what the confounder's Gram matrix does not explain of the two Gram matrices.

    `confounder` is one array (n, ...), or a list of several. NaN when it explains a representation.

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
        raise ValueError(f"representations of {[len(t) for t in tensors]} samples: all must be of the same samples")
    if n < measure.rows.min_samples:
        raise ValueError(f"{n} samples: this estimator needs {measure.rows.min_samples}")
    grams = [linear_gram(tensor) for tensor in tensors]
    dtype = torch.float64 if any(gram.dtype == torch.float64 for gram in grams) else torch.float32
    state = GramAccumulator(len(grams), measure.rows.factor, grams[0].device)
    rows = measure.rows(torch.stack([gram.to(dtype) for gram in grams]), len(confounders))
    state.add(rows, measure.rows.weight(n), batch=0)
    return point_estimate(measure, state.sums(), len(confounders))


def _representation(array: Any) -> Tensor:
    tensor = torch.as_tensor(array)
    return flatten(tensor if tensor.is_floating_point() else tensor.double())
