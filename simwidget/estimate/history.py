"""What the sums were after some of the batches, for curves over batches."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.text.untrusted import MalformedError

LONGEST = 200
"""Moments kept at most."""
SHORTEST = 16
"""Moments kept at least, however many rows there are; half of them when the memory is full."""
MEMORY = 32 * 2**20
"""Bytes that the moments may take, if `SHORTEST` of them fit."""


@dataclass(frozen=True)
class Moment:
    n_batches: int
    """batches of the loader that were through"""
    products: Tensor
    """float32: the upper triangle, row by row, of the products (R, R) summed over all groups; or float64 (R, R)"""
    weight: float

    def only(self, rows: Tensor) -> "Moment":
        """The moment with the products (k, k) of some rows."""
        n = int(((8 * len(self.products) + 1) ** 0.5 - 1) / 2)
        i, j = torch.minimum(rows[:, None], rows), torch.maximum(rows[:, None], rows)
        at = (i * n - i * (i + 1) // 2 + j).to(self.products.device)
        return Moment(self.n_batches, self.products[at].cpu().double(), self.weight)


class History:
    """The sums after every k-th Gram matrix; k doubles, and every other moment goes, when the memory is full.

    >>> import torch
    >>> history = History(n_rows=1, longest=4)
    >>> for k in range(1, 12):
    ...     if history.is_time():
    ...         history.keep(k, torch.full((1, 1), 10.0 * k), float(k))
    >>> [(moment.n_batches, moment.products.item()) for moment in history.moments]
    [(4, 40.0), (8, 80.0)]
    """

    def __init__(self, n_rows: int, device: torch.device | str = "cpu", longest: int = LONGEST) -> None:
        bytes_each = 2 * n_rows * (n_rows + 1)
        self._longest = min(longest, max(SHORTEST, MEMORY // bytes_each))
        i, j = torch.triu_indices(n_rows, n_rows, device=device)
        self._triangle = i * n_rows + j
        self._seen = 0
        self._every = 1
        self.moments: tuple[Moment, ...] = ()

    def is_time(self) -> bool:
        """Count one Gram matrix; whether the sums after it are to be kept."""
        self._seen += 1
        return self._seen % self._every == 0

    def keep(self, n_batches: int, products: Tensor, weight: float) -> None:
        """Keep the sums of this moment: products (R, R) and their weight."""
        moment = Moment(n_batches, products.flatten()[self._triangle].float(), weight)
        self.moments = (*self.moments, moment)
        if len(self.moments) >= self._longest:
            self.moments = self.moments[1::2]
            self._every *= 2

    def arrays(self) -> dict[str, Tensor]:
        """All of it as tensors, from which `restore` makes it again."""
        found = {"counts": torch.tensor([self._seen, self._every, *(moment.n_batches for moment in self.moments)])}
        if self.moments:
            found["products"] = torch.stack([moment.products for moment in self.moments])
            found["weights"] = torch.tensor([moment.weight for moment in self.moments], dtype=torch.float64)
        return found

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        """Raises MalformedError for arrays that are no history of as many rows."""
        try:
            seen, every, *batches = arrays["counts"].tolist()
            products = arrays.get("products", torch.zeros(0, len(self._triangle)))
            weights = arrays["weights"].tolist() if batches else []
            size = (len(batches), len(self._triangle))
            types = "weights" not in arrays or arrays["weights"].dtype == torch.float64
            fits = types and products.dtype == torch.float32 and len(weights) < self._longest
            if not fits or products.shape != size or len(weights) != len(batches) or seen < 0 or every < 1:
                raise ValueError(f"{tuple(products.shape)} is not {size}")
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise MalformedError(f"its history is not one of this run ({problem})") from problem
        self._seen, self._every = seen, every
        moved = products.to(self._triangle.device)
        self.moments = tuple(Moment(*one) for one in zip(batches, moved, weights, strict=True))
