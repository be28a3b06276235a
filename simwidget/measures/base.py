"""`Measure` and its parts: a row map and an evaluator.

The row map centres each Gram matrix and flattens it to a vector, called a row. The evaluator computes the values of the
measure from the inner products of the rows.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from simwidget.gram.row_maps import RowMap


@dataclass(frozen=True)
class ConfounderBasis:
    """The regressors of dCKA: k linearly independent combinations of the rows of C confounders."""

    transform: Tensor
    """(C, k): the coefficients of the linear combinations, one column for each combination"""
    dropped: tuple[int, ...]
    """indices of the confounders without variance"""


@dataclass(frozen=True)
class RowSelection:
    """The layers for which a measure is evaluated. Indices refer to the list of R confounders and layers."""

    x: Tensor
    """(a,): indices of the layers for the rows of the matrix of values (a, b)"""
    y: Tensor
    """(b,): indices of the layers for the columns of the matrix of values (a, b)"""
    tolerance: Tensor
    """(R,): for each layer, a limit on the share of its variance that is left after the regression on the confounders.
    Below the limit, the dCKA of the layer is NaN."""
    n_confounders: int
    """the number C of confounders; the confounders have the indices 0 to C - 1"""


class Evaluator(Protocol):
    """Computes the values of a measure from `products` (R, R), the inner products of all pairs of rows.

    The R rows are the centred and flattened Gram matrices of the confounders and layers. The inner products are summed
    over blocks of samples.
    """

    @property
    def uses_confounder(self) -> bool:
        """Whether the measure depends on confounders."""
        ...

    def basis(self, products: Tensor, n_confounders: int) -> ConfounderBasis | None:
        """Return the regressors; None if the evaluator does no regression.

        `products` (R, R) must be summed over all groups of batches. The jackknife leaves out one group at a time, but
        always uses these regressors.
        """
        ...

    def explained(
        self, products: Tensor, tolerance: Tensor, n_confounders: int, basis: ConfounderBasis | None
    ) -> Tensor:
        """Return bool (R,): True for the layers that are explained by the confounders, False for all other indices.

        `tolerance` (R,) has a limit for each layer. The layer is explained if the share of its variance that is left
        after the regression is below the limit.
        """
        ...

    def __call__(
        self, products: Tensor, weight: Tensor, selection: RowSelection, basis: ConfounderBasis | None
    ) -> Tensor:
        """Return the values (a, b) of the measure for the layers `selection.x` and `selection.y`; NaN where undefined.

        `products` (R, R) are summed over blocks of samples. `weight`, a scalar tensor, is the total weight of these
        blocks.
        """
        ...


@dataclass(frozen=True)
class Measure:
    """A measure: its name, its row map `rows` and its evaluator.

    Measures with equal row maps are evaluated from the same summed inner products.
    """

    name: str
    title: str
    """the display name"""
    kind: Literal["similarity", "distance"]
    """whether high values ("similarity") or low values ("distance") mean that two layers are alike"""
    rows: RowMap
    evaluate: Evaluator


@dataclass(frozen=True)
class Difference:
    """The difference between two measures: `minuend` minus `subtrahend`.

    The standard error of the difference takes into account that the two measures are correlated, since both are
    computed from the same batches.
    """

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
    """The options that change how measures are computed.

    The docstring of `compare` explains `unbiased` and `average`; that of `DeltaCKA` explains `remove_negative_eig`.

    Raises:
        ValueError: `average` is unknown; or `remove_negative_eig` is true, but `unbiased` is true or `average` is
            "hsic".
    """

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
