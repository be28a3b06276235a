"""`GramAccumulator`: sums of inner products over blocks of samples, kept in groups of blocks for the jackknife."""

from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.gram.products import Products, mirror

N_GROUPS = 16
"""Number of jackknife groups. Each group consists of blocks of samples and has its own partial sum."""
CHUNK_ELEMENTS = 2**22
"""Largest number of elements of the flattened Gram matrices that are converted to float64 at a time. The limit bounds
the scratch memory."""


@dataclass(frozen=True)
class Sums:
    """The sums of a `GramAccumulator` at one moment, for R rows (layers and confounders) and G jackknife groups."""

    products: Tensor
    """(G, R, R) float64: for each group, the summed inner products of all pairs of rows"""
    weights: Tensor
    """(G,) float64 on the CPU: for each group, the summed weights of its blocks"""


class GramAccumulator:
    """Sums of products (R, R) and of weights over blocks of samples, in `n_groups` partial sums.

    The product of a block is `factor` times U U^T. The R rows of the matrix U (R, m) are the flattened centred Gram
    matrices of the R layers and confounders for this block. Block b is added to partial sum b mod `n_groups`.

    Two accumulators of the same layers and confounders over different data can be merged by adding their sums.

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
        """Add one block of samples to the sums.

        The product U U^T is computed in float64. Therefore its rounding error is far below the rounding error of U, and
        TF32 settings have no effect.

        Args:
            rows: U (R, m), the flattened centred Gram matrices of the block.
            weight: the weight of the block.
            batch: the index of the block, which determines its jackknife group.
        """
        self.add_product(self.product(rows), weight, batch)

    def product(self, rows: Tensor) -> Tensor:
        """Return `factor` times U U^T (R, R), in float64, for one block with rows U (R, m). The sums do not change."""
        product = torch.zeros_like(self._products[0])
        width = max(1, CHUNK_ELEMENTS // max(len(rows), 1))
        for chunk in rows.split(width, dim=1):
            Products(chunk.to(product)).write(product, add=True)
        mirror(product)
        return product.mul_(self.factor)

    def add_product(self, product: Tensor, weight: float, batch: int) -> None:
        """Add one block of samples to the sums.

        Args:
            product: the result (R, R) of `self.product` for the block.
            weight: the weight of the block.
            batch: the index of the block, which determines its jackknife group.
        """
        group = batch % len(self._weights)
        self._products[group] += product
        self._weights[group] += weight

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums by name, "products" and "weights". Writing to these tensors changes the sums."""
        return {"products": self._products, "weights": self._weights}

    def merge(self, other: "GramAccumulator") -> None:
        """Add the sums of `other`, an accumulator of the same layers and confounders, for example over another shard.

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
        """Return a copy of the sums. Blocks that are added later do not change the copy."""
        return Sums(self._products.clone(), self._weights.clone())

    def total(self) -> tuple[Tensor, float]:
        """Return the summed products (R, R) and the summed weight of all groups together."""
        return self._products.sum(0), self._weights.sum().item()
