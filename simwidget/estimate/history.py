"""Earlier values of the sums, kept for convergence curves."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.text.untrusted import MalformedError

MAX_POINTS = 200
"""Largest number of points of a history."""
MIN_POINTS = 16
"""Points that a history may have for any number of rows, even beyond `MAX_POINTS_BYTES`. When the limit is reached,
half of the points are removed."""
MAX_POINTS_BYTES = 32 * 2**20
"""Bytes that the points may take, if `MIN_POINTS` of them fit."""


@dataclass(frozen=True)
class HistoryPoint:
    """The sums after some of the batches."""

    n_batches: int
    """batches of the loader that had gone through the models"""
    products: Tensor
    """summed over all groups: the upper triangle (R (R + 1) / 2,) of the products (R, R), row by row, in float32; after
    `select` the full matrix in float64"""
    weight: float
    """the sum of the weights of the blocks"""

    def select(self, rows: Tensor) -> "HistoryPoint":
        """The same point with the products (k, k) of the rows with these indices (k,), in float64 on the CPU."""
        n = int(((8 * len(self.products) + 1) ** 0.5 - 1) / 2)
        i, j = torch.minimum(rows[:, None], rows), torch.maximum(rows[:, None], rows)
        at = (i * n - i * (i + 1) // 2 + j).to(self.products.device)
        return HistoryPoint(self.n_batches, self.products[at].cpu().double(), self.weight)


class History:
    """The sums after every k-th block of samples.

    When the history is full, every other point is removed and k doubles, so that the points stay evenly spaced.

    Args:
        n_rows: R, the number of rows of the sums.
        device: of the sums.
        max_points: fewer are kept when they would take more than `MAX_POINTS_BYTES`, but at least `MIN_POINTS`.

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
        """Count one block of samples; True if `append` must be called with the sums after it."""
        self._seen += 1
        return self._seen % self._every == 0

    def append(self, n_batches: int, products: Tensor, weight: float) -> None:
        """Append a point: the number of batches so far, and the products (R, R) and weight of all groups together."""
        point = HistoryPoint(n_batches, products.flatten()[self._triangle].float(), weight)
        self.points = (*self.points, point)
        if len(self.points) >= self._max_points:
            self.points = self.points[1::2]
            self._every *= 2

    def arrays(self) -> dict[str, Tensor]:
        """The state as tensors, for `restore`."""
        arrays = {"counts": torch.tensor([self._seen, self._every, *(point.n_batches for point in self.points)])}
        if self.points:
            arrays["products"] = torch.stack([point.products for point in self.points])
            arrays["weights"] = torch.tensor([point.weight for point in self.points], dtype=torch.float64)
        return arrays

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        """Set the state from the tensors of `arrays`; raises MalformedError if they do not fit this number of rows."""
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
