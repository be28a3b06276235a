"""`History`: copies of the sums after earlier blocks of samples, kept for convergence curves."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.files.fields import MalformedError

MAX_POINTS = 200
"""When a history has this many points, every other point is removed."""
MIN_POINTS = 16
"""If `MAX_POINTS` points need too much memory, the limit is smaller, but at least `MIN_POINTS`."""
MAX_POINTS_BYTES = 32 * 2**20
"""Limit on the memory for the points of a history, in bytes. `MIN_POINTS` points may exceed this limit."""


@dataclass(frozen=True)
class HistoryPoint:
    """The sums over all blocks of samples up to an earlier moment of the pass."""

    n_batches: int
    """number of batches of the loader that had gone through the models by then, completely or in part"""
    products: Tensor
    """the summed products (R, R). The upper triangle is stored in float32, flattened row by row to
    (R (R + 1) / 2,). A point that `select` returned has the full matrix in float64 instead."""
    weight: float
    """the summed weights of the blocks"""

    def select(self, rows: Tensor) -> "HistoryPoint":
        """Return a point with only the layers and confounders at the indices `rows` (k,).

        Its products (k, k) are in float64 on the CPU.
        """
        n = int(((8 * len(self.products) + 1) ** 0.5 - 1) / 2)
        i, j = torch.minimum(rows[:, None], rows), torch.maximum(rows[:, None], rows)
        at = (i * n - i * (i + 1) // 2 + j).to(self.products.device)
        return HistoryPoint(self.n_batches, self.products[at].cpu().double(), self.weight)


class History:
    """A list of points: copies of the sums, one after every k-th block of samples.

    At first k is 1. When there are `max_points` points, every other point is removed and k is doubled. The points stay
    evenly spaced.

    Args:
        n_rows: R, the number of layers and confounders; the summed products are (R, R).
        device: the device of the sums.
        max_points: limit on the number of points. If so many points would take more than `MAX_POINTS_BYTES`, the limit
            is reduced, but not below `MIN_POINTS`.

    >>> import torch
    >>> history = History(n_rows=1, max_points=4)
    >>> for k in range(1, 12):
    ...     if history.count_gram():
    ...         history.append(k, torch.full((1, 1), 10.0 * k), float(k))
    >>> [(point.n_batches, point.products.item()) for point in history.points]
    [(4, 40.0), (8, 80.0)]
    """

    def __init__(self, n_rows: int, device: torch.device | str = "cpu", max_points: int = MAX_POINTS) -> None:
        bytes_each = 2 * n_rows * (n_rows + 1)
        self._max_points = min(max_points, max(MIN_POINTS, MAX_POINTS_BYTES // bytes_each))
        i, j = torch.triu_indices(n_rows, n_rows, device=device)
        self._triangle = i * n_rows + j
        self._seen = 0
        self._every = 1
        self.points: tuple[HistoryPoint, ...] = ()

    def count_gram(self) -> bool:
        """Count a block before it is added to the sums; return whether `append` must be called once it is added."""
        self._seen += 1
        return self._seen % self._every == 0

    def append(self, n_batches: int, products: Tensor, weight: float) -> None:
        """Append a point: the number of batches so far, with the summed products (R, R) and the summed weight."""
        point = HistoryPoint(n_batches, products.flatten()[self._triangle].float(), weight)
        self.points = (*self.points, point)
        if len(self.points) >= self._max_points:
            self.points = self.points[1::2]
            self._every *= 2

    def arrays(self) -> dict[str, Tensor]:
        """Return the points, the number of counted blocks, and k, as named tensors for `restore`."""
        arrays = {"counts": torch.tensor([self._seen, self._every, *(point.n_batches for point in self.points)])}
        if self.points:
            arrays["products"] = torch.stack([point.products for point in self.points])
            arrays["weights"] = torch.tensor([point.weight for point in self.points], dtype=torch.float64)
        return arrays

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        """Set the points, the number of counted blocks, and k from the tensors that `arrays()` of a history returned.

        Raises:
            MalformedError: a tensor is missing, has the wrong shape or dtype, or has too many points.
        """
        try:
            seen, every, *batches = arrays["counts"].tolist()
            products = arrays.get("products", torch.zeros(0, len(self._triangle)))
            weights = arrays["weights"].tolist() if batches else []
            size = (len(batches), len(self._triangle))
            weights_are_float64 = "weights" not in arrays or arrays["weights"].dtype == torch.float64
            is_valid = weights_are_float64 and products.dtype == torch.float32 and len(weights) < self._max_points
            if not is_valid or products.shape != size or len(weights) != len(batches) or seen < 0 or every < 1:
                raise ValueError(f"{tuple(products.shape)} is not {size}")
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise MalformedError(f"its history does not fit this run ({problem})") from problem
        self._seen, self._every = seen, every
        moved = products.to(self._triangle.device)
        self.points = tuple(HistoryPoint(*values) for values in zip(batches, moved, weights, strict=True))
