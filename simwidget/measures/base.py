"""The interface of a measure: a row map, and an evaluator of the summed products of its rows."""

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from simwidget.gram.row_maps import RowMap


@dataclass(frozen=True)
class ConfounderBasis:
    """The directions in the space of the confounders on which every evaluation regresses."""

    transform: Tensor
    """(C, k): maps the C confounders to the k directions that are kept"""
    dropped: tuple[int, ...]
    """indices of the confounders without variance"""


@dataclass(frozen=True)
class RowSelection:
    """The rows and columns of the matrix to evaluate, and what the evaluation needs to know about all rows."""

    x: Tensor
    """(a,): indices of the rows of the sums that become the rows of the matrix"""
    y: Tensor
    """(b,): indices of the rows of the sums that become its columns"""
    tolerance: Tensor
    """(R,): a row whose residual has less than this share of its variance counts as explained by the confounders"""
    n_confounders: int
    """C: the first C rows are those of the confounders"""


class Evaluator(Protocol):
    """Computes the values of a measure from the products (R, R) of all rows, summed over blocks of samples."""

    @property
    def uses_confounder(self) -> bool:
        """Whether the measure needs the rows of the confounders."""
        ...

    def basis(self, products: Tensor, n_confounders: int) -> ConfounderBasis | None:
        """The directions of the confounders, from the sum over all groups; every leave-one-out uses them too."""
        ...

    def explained(
        self, products: Tensor, tolerance: Tensor, n_confounders: int, basis: ConfounderBasis | None
    ) -> Tensor:
        """Bool (R,): whether the residual of each row has less than the share `tolerance` (R,) of its variance."""
        ...

    def __call__(
        self, products: Tensor, weight: Tensor, selection: RowSelection, basis: ConfounderBasis | None
    ) -> Tensor:
        """The values (a, b) for the selected rows, from the products (R, R) of all rows summed over the blocks, whose
        total weight is `weight` (); NaN where undefined.
        """
        ...


@dataclass(frozen=True)
class Measure:
    """A measure with its name. Measures with equal `rows` share one accumulator."""

    name: str
    title: str
    """how displays write the name"""
    kind: Literal["similarity", "distance"]
    """whether high values ("similarity") or low values ("distance") mean that two layers are alike"""
    rows: RowMap
    evaluate: Evaluator


@dataclass(frozen=True)
class Difference:
    """One measure minus another. It has its own standard error, since both are computed from the same batches."""

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
    """The options of `compare` that define its measures; see `compare`."""

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
