"""The additive state: sums over batches of the products of all rows, in groups for the jackknife."""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.gram.products import Products, mirror

N_GROUPS = 16
"""Partial sums kept for the jackknife."""
CHUNK_ELEMENTS = 2**22
"""Elements of the rows that are turned into float64 at a time."""


@dataclass(frozen=True)
class Sums:
    """The accumulator's content at one moment."""

    products: Tensor
    """(G, R, R) float64: for each group the weighted sum of the rows' products"""
    weights: Tensor
    """(G,) float64 on the CPU: the weight that went into each group"""


class GramAccumulator:
    """S += factor U U^T for each batch's rows U (R, m), in `N_GROUPS` partial sums.

    Batch b goes to group b mod G. The state is additive: merging two accumulators of the same rows is a sum.

    >>> import torch
    >>> state = GramAccumulator(n_rows=2, factor=2.0)
    >>> state.add(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), weight=3.0, batch=0)
    >>> state.sums().products.sum(0)
    tensor([[2., 2.],
            [2., 4.]], dtype=torch.float64)
    """

    def __init__(
        self, n_rows: int, factor: float, device: torch.device | str = "cpu", n_groups: int = N_GROUPS
    ) -> None:
        self.factor = factor
        self._products = torch.zeros(n_groups, n_rows, n_rows, dtype=torch.float64, device=device)
        self._weights = torch.zeros(n_groups, dtype=torch.float64)

    def add(self, rows: Tensor, weight: float, batch: int) -> None:
        """Add one batch: rows (R, m), the batch's weight and its global index.

        The product is float64, so its rounding is far under that of the rows and TF32 never touches it.
        """
        self.add_product(self.product(rows), weight, batch)

    def product(self, rows: Tensor) -> Tensor:
        """What rows (R, m) would add, (R, R); nothing is added."""
        product = torch.zeros_like(self._products[0])
        width = max(1, CHUNK_ELEMENTS // max(len(rows), 1))
        for chunk in rows.split(width, dim=1):
            Products(chunk.to(product)).write(product, add=True)
        mirror(product)
        return product.mul_(self.factor)

    def add_product(self, product: Tensor, weight: float, batch: int) -> None:
        """Add what `product` gave for the rows of a batch."""
        group = batch % len(self._weights)
        self._products[group] += product
        self._weights[group] += weight

    def tensors(self) -> dict[str, Tensor]:
        """The state itself: who writes into it changes it."""
        return {"products": self._products, "weights": self._weights}

    def merge(self, other: "GramAccumulator") -> None:
        """Add another accumulator's sums of the same rows, for example of another shard of the data."""
        if self._products.shape != other._products.shape or self.factor != other.factor:
            raise ValueError(
                f"cannot merge sums of shape {tuple(other._products.shape)} into {tuple(self._products.shape)}: "
                "both accumulators must hold the same rows, groups and measure"
            )
        self._products += other._products.to(self._products.device)
        self._weights += other._weights

    def sums(self) -> Sums:
        """A copy of the state that later batches do not change."""
        return Sums(self._products.clone(), self._weights.clone())

    def total(self) -> tuple[Tensor, float]:
        """The products (R, R) and the weight of all groups together."""
        return self._products.sum(0), self._weights.sum().item()
