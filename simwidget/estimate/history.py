"""What the sums were after some of the batches, for curves over batches."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.text.untrusted import MalformedError

MAX_POINTS = 200
"""Moments kept at most."""
MIN_POINTS = 16
"""Moments kept at least, however many rows there are; half of them when the memory is full."""
MAX_POINTS_BYTES = 32 * 2**20
"""Bytes that the moments may take, if `MIN_POINTS` of them fit."""


@dataclass(frozen=True)
class HistoryPoint:
    n_batches: int
    """batches of the loader that were through"""
    products: Tensor
    """float32: the upper triangle, row by row, of the products (R, R) summed over all groups; or float64 (R, R)"""
    weight: float

    def select(self, rows: Tensor) -> "HistoryPoint":
        """The moment with the products (k, k) of some rows."""
        n = int(((8 * len(self.products) + 1) ** 0.5 - 1) / 2)
        i, j = torch.minimum(rows[:, None], rows), torch.maximum(rows[:, None], rows)
        at = (i * n - i * (i + 1) // 2 + j).to(self.products.device)
        return HistoryPoint(self.n_batches, self.products[at].cpu().double(), self.weight)


class History:
    """The sums after every k-th Gram matrix; k doubles, and every other moment goes, when the memory is full.

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
        """Count one Gram matrix; whether the sums after it are to be kept."""
        self._seen += 1
        return self._seen % self._every == 0

    def append(self, n_batches: int, products: Tensor, weight: float) -> None:
        """Keep the sums of this moment: products (R, R) and their weight."""
        point = HistoryPoint(n_batches, products.flatten()[self._triangle].float(), weight)
        self.points = (*self.points, point)
        if len(self.points) >= self._max_points:
            self.points = self.points[1::2]
            self._every *= 2

    def arrays(self) -> dict[str, Tensor]:
        """All of it as tensors, from which `restore` makes it again."""
        arrays = {"counts": torch.tensor([self._seen, self._every, *(point.n_batches for point in self.points)])}
        if self.points:
            arrays["products"] = torch.stack([point.products for point in self.points])
            arrays["weights"] = torch.tensor([point.weight for point in self.points], dtype=torch.float64)
        return arrays

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        """Raises MalformedError for arrays that are no history of as many rows."""
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
            raise MalformedError(f"its history is not one of this run ({problem})") from problem
        self._seen, self._every = seen, every
        moved = products.to(self._triangle.device)
        self.points = tuple(HistoryPoint(*values) for values in zip(batches, moved, weights, strict=True))
