"""The additive state: sums over blocks of the inner products of all rows, in groups for the jackknife."""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.gram.products import Products, mirror

N_GROUPS = 16
"""Number of partial sums kept for the jackknife."""
CHUNK_ELEMENTS = 2**22
"""Elements of the rows that are converted to float64 at a time, which bounds the scratch memory."""


@dataclass(frozen=True)
class Sums:
    """A copy of an accumulator's state."""

    products: Tensor
    """(G, R, R) float64: for each group the sum of the products of the rows"""
    weights: Tensor
    """(G,) float64 on the CPU: for each group the sum of the weights"""


class GramAccumulator:
    """Sums factor U U^T over blocks of samples with rows U (R, m), in `n_groups` partial sums.

    Block b goes to group b mod `n_groups`. The state is additive: two accumulators of the same rows are merged by
    adding their sums.

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
        """Add one block: its rows (R, m), its weight and its index among all blocks.

        The product is computed in float64, so that its rounding error is far below that of the rows and TF32 is not
        used.
        """
        self.add_product(self.product(rows), weight, batch)

    def product(self, rows: Tensor) -> Tensor:
        """The product factor U U^T (R, R) of rows U (R, m); the sums are not changed."""
        product = torch.zeros_like(self._products[0])
        width = max(1, CHUNK_ELEMENTS // max(len(rows), 1))
        for chunk in rows.split(width, dim=1):
            Products(chunk.to(product)).write(product, add=True)
        mirror(product)
        return product.mul_(self.factor)

    def add_product(self, product: Tensor, weight: float, batch: int) -> None:
        """Add the result of `product` for the rows of a block, its weight and its index."""
        group = batch % len(self._weights)
        self._products[group] += product
        self._weights[group] += weight

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of the state themselves, not copies: writing into them changes the state."""
        return {"products": self._products, "weights": self._weights}

    def merge(self, other: "GramAccumulator") -> None:
        """Add the sums of another accumulator of the same rows, for example of another shard of the data.

        Raises:
            ValueError: the shapes or the factors differ.
        """
        if self._products.shape != other._products.shape or self.factor != other.factor:
            raise ValueError(
                f"cannot merge sums of shape {tuple(other._products.shape)} into {tuple(self._products.shape)}: "
                "both accumulators must hold the same rows, groups and measure"
            )
        self._products += other._products.to(self._products.device)
        self._weights += other._weights

    def sums(self) -> Sums:
        """A copy of the state, which later blocks do not change."""
        return Sums(self._products.clone(), self._weights.clone())

    def total(self) -> tuple[Tensor, float]:
        """The products (R, R) and the weight, summed over the groups."""
        return self._products.sum(0), self._weights.sum().item()
