"""What a measure is: a row map, and an evaluator over the summed products of the rows."""

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from simwidget.gram.row_maps import RowMap


@dataclass(frozen=True)
class ConfounderBasis:
    """The directions of confounder space that every evaluation regresses on."""

    transform: Tensor
    """(C, k): rows of the products, C confounders, to k kept directions"""
    dropped: tuple[int, ...]
    """confounders without variance"""


@dataclass(frozen=True)
class RowSelection:
    """The part of the matrix to evaluate, and what its evaluation needs to know of the rows."""

    x: Tensor
    """(a,) indices of the rows of the first side"""
    y: Tensor
    """(b,) indices of the rows of the second side"""
    tolerance: Tensor
    """(R,) share of a row's variance below which nothing is left beside the confounders"""
    n_confounders: int
    """the first rows are the confounders'"""


class Evaluator(Protocol):
    @property
    def uses_confounder(self) -> bool: ...

    def basis(self, products: Tensor, n_confounders: int) -> ConfounderBasis | None:
        """What is read off the whole sum once and then kept in every leave-out."""
        ...

    def explained(
        self, products: Tensor, tolerance: Tensor, n_confounders: int, basis: ConfounderBasis | None
    ) -> Tensor:
        """Bool (R,): rows of which the confounders leave less than the tolerance."""
        ...

    def __call__(
        self, products: Tensor, weight: Tensor, selection: RowSelection, basis: ConfounderBasis | None
    ) -> Tensor:
        """The measure's values (a, b) from products (R, R) that carry `weight`; NaN where undefined."""
        ...


@dataclass(frozen=True)
class Measure:
    """A named measure. Measures with equal `rows` share one accumulator."""

    name: str
    title: str
    """how displays write it"""
    kind: Literal["similarity", "distance"]
    """whether high or low means alike"""
    rows: RowMap
    evaluate: Evaluator


@dataclass(frozen=True)
class Difference:
    """One measure less another, with an error of its own: the two rest on the same batches."""

    minuend: Measure
    subtrahend: Measure

    @property
    def name(self) -> str:
        return f"{self.minuend.name}-{self.subtrahend.name}"

    @property
    def title(self) -> str:
        return f"{self.minuend.title} − {self.subtrahend.title}"


@dataclass(frozen=True)
class MeasureOptions:
    """The options of `compare` that shape its measures."""

    unbiased: bool = True
    average: Literal["hsic", "cka"] = "hsic"
    remove_negative_eig: bool = False

    def __post_init__(self) -> None:
        if self.average not in ("hsic", "cka"):
            raise ValueError(
                f'average={self.average!r}: choose "hsic" (sums of HSIC, one ratio at the end) or "cka" '
                "(the mean of each batch's ratio, for comparison with published numbers)"
            )
        if self.remove_negative_eig and (self.average != "cka" or self.unbiased):
            raise ValueError(
                "remove_negative_eig=True changes each batch's own residual, which is not additive: "
                'it needs unbiased=False and average="cka"'
            )
