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
    """The regressors of dCKA: k linearly independent combinations of C confounders."""

    transform: Tensor
    """(C, k): the coefficients of the confounders, one column for each combination"""
    dropped: tuple[int, ...]
    """indices of the confounders without variance"""


@dataclass(frozen=True)
class RowSelection:
    """The layers between which a measure is evaluated, as indices into the list of R confounders and layers."""

    x: Tensor
    """(a,): indices of the layers for the rows of the matrix of values (a, b)"""
    y: Tensor
    """(b,): indices of the layers for the columns of the matrix of values (a, b)"""
    tolerance: Tensor
    """(R,): the smallest share of a layer's variance that may be left after the regression on the confounders; if less
    is left, the values of dCKA for this layer are NaN"""
    n_confounders: int
    """C: the first C of the R indices are those of the confounders"""


class Evaluator(Protocol):
    """Computes the values of a measure from products (R, R) that are summed over blocks of samples.

    The products are the inner products of all pairs of rows. There are R rows: the centred and flattened Gram matrix of
    each confounder and layer.
    """

    @property
    def uses_confounder(self) -> bool:
        """Whether the measure depends on confounders."""
        ...

    def basis(self, products: Tensor, n_confounders: int) -> ConfounderBasis | None:
        """Compute the regressors from the products (R, R) summed over all groups of batches.

        The jackknife, which leaves out one group at a time, uses the same regressors each time. The result is None if
        the evaluator does no regression.
        """
        ...

    def explained(
        self, products: Tensor, tolerance: Tensor, n_confounders: int, basis: ConfounderBasis | None
    ) -> Tensor:
        """Return bool (R,): whether each layer is explained by the confounders; False for the confounders themselves.

        A layer is explained if less than the share `tolerance` (R,) of its variance is left after the regression.
        """
        ...

    def __call__(
        self, products: Tensor, weight: Tensor, selection: RowSelection, basis: ConfounderBasis | None
    ) -> Tensor:
        """Return the values (a, b) of the measure for the layers `selection.x` and `selection.y`; NaN where undefined.

        `products` (R, R) are summed over blocks of samples; `weight` () is the total weight of these blocks.
        """
        ...


@dataclass(frozen=True)
class Measure:
    """A measure: its name, its row map `rows` and its evaluator. Measures with equal row maps use the same sums."""

    name: str
    title: str
    """the name that displays show"""
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

    `compare` describes `unbiased` and `average`; `DeltaCKA` describes `remove_negative_eig`.

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
