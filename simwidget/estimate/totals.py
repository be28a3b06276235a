"""All that a pass adds up: for each distinct row map its sums, their history, and which rows were not defined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.estimate.accumulators import GramAccumulator, Sums
from simwidget.estimate.history import History, HistoryPoint
from simwidget.gram.row_maps import RowMap, UnitRows
from simwidget.text.untrusted import MalformedError


@dataclass(frozen=True)
class Undefined:
    """For each row (R,): where it had no numbers."""

    not_finite: Tensor
    """the first batch of the loader with values that are not finite; -1 for none"""
    no_row: Tensor
    """the first batch in which the row map had no row of it; -1 for none"""
    n_not_finite: Tensor
    """in how many Gram matrices there were values that are not finite"""

    def select(self, rows: Tensor) -> "Undefined":
        return Undefined(self.not_finite[rows], self.no_row[rows], self.n_not_finite[rows])

    def clone(self) -> "Undefined":
        return Undefined(self.not_finite.clone(), self.no_row.clone(), self.n_not_finite.clone())


@dataclass(frozen=True)
class Addition:
    """What one batch's Gram matrices add; made before anything is added, so that a failure leaves all sums alike."""

    products: Mapping[RowMap, Tensor]
    """(R, R) float64"""
    weights: Mapping[RowMap, float]
    finite: Tensor
    """(R,) bool"""
    defined: Mapping[RowMap, Tensor]
    """(R,) bool"""


class Totals:
    """The sums of a pass. There are none until the rows are known: see `allocate`."""

    def __init__(self, row_maps: Sequence[RowMap]) -> None:
        self.row_maps = tuple(row_maps)
        self.min_samples = max(row_map.min_samples for row_map in self.row_maps)
        self._accumulators: dict[RowMap, GramAccumulator] = {}
        self._undefined: dict[RowMap, Undefined] = {}
        self._history: dict[RowMap, History] = {}

    def __bool__(self) -> bool:
        return bool(self._accumulators)

    @property
    def uses_float64(self) -> bool:
        """Whether a row map makes a double copy of the Gram matrices."""
        return any(isinstance(row_map, UnitRows) for row_map in self.row_maps)

    def allocate(self, n_rows: int, device: torch.device) -> None:
        """Make room for so many rows, for good."""
        for row_map in self.row_maps:
            never = torch.full((n_rows,), -1, device=device)
            self._undefined[row_map] = Undefined(never, never.clone(), torch.zeros_like(never))
            self._accumulators[row_map] = GramAccumulator(n_rows, row_map.factor, device)
            self._history[row_map] = History(n_rows, device)

    def compute_addition(self, stack: Tensor, n_confounders: int) -> Addition:
        """What the Gram matrices (R, n, n) of one batch add; the sums stay as they are."""
        products, weights, defined = {}, {}, {}
        for row_map in self.row_maps:
            rows = row_map(stack, n_confounders)
            defined[row_map] = rows.sum(1).isfinite()
            rows.masked_fill_(~defined[row_map][:, None], 0.0)
            products[row_map] = self._accumulators[row_map].product(rows)
            weights[row_map] = row_map.weight(stack.shape[1])
        return Addition(products, weights, stack.diagonal(dim1=1, dim2=2).sum(1).isfinite(), defined)

    def add(self, addition: Addition, index: int, n_batches: int) -> None:
        """Add what one batch weighs: Gram matrix number `index`, with which `n_batches` of the loader are through."""
        for row_map in self.row_maps:
            history, undefined = self._history[row_map], self._undefined[row_map]
            state = self._accumulators[row_map]
            state.add_product(addition.products[row_map], addition.weights[row_map], index)
            if history.count_gram():
                history.append(n_batches, *state.total())
            pairs = ((undefined.not_finite, ~addition.finite), (undefined.no_row, ~addition.defined[row_map]))
            for first, now in pairs:
                first.copy_(torch.where(now & (first < 0), n_batches - 1, first))
            undefined.n_not_finite.add_(~addition.finite)

    def sums(self) -> dict[RowMap, Sums]:
        return {row_map: state.sums() for row_map, state in self._accumulators.items()}

    def undefined(self) -> dict[RowMap, Undefined]:
        return {row_map: undefined.clone() for row_map, undefined in self._undefined.items()}

    def history(self) -> dict[RowMap, tuple[HistoryPoint, ...]]:
        return {row_map: history.points for row_map, history in self._history.items()}

    def arrays(self) -> dict[str, Tensor]:
        """All of it as tensors, from which `restore` makes it again, to the last bit."""
        arrays = {}
        for k, row_map in enumerate(self.row_maps):
            sums, undefined = self._accumulators[row_map].sums(), self._undefined[row_map]
            tensors = {
                "products": sums.products,
                "weights": sums.weights,
                **vars(undefined.clone()),
                **{f"history/{name}": array for name, array in self._history[row_map].arrays().items()},
            }
            arrays.update({f"sums/{k}/{name}": array for name, array in tensors.items()})
        return arrays

    def restore(self, arrays: Mapping[str, Tensor]) -> None:
        """After `allocate`, with the arrays of totals of the same rows. Raises MalformedError for others."""
        for k, row_map in enumerate(self.row_maps):
            prefix = f"sums/{k}/"
            tensors = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            state, undefined = self._accumulators[row_map], self._undefined[row_map]
            for name, target in {**state.tensors(), **vars(undefined)}.items():
                given = tensors.get(name)
                if given is None or given.shape != target.shape or given.dtype != target.dtype:
                    raise MalformedError(f"its array {prefix + name!r} is not one of this run")
                if not given.isfinite().all():
                    raise MalformedError(f"its array {prefix + name!r} holds values that are not finite")
                target.copy_(given)
            self._history[row_map].restore({n.removeprefix("history/"): t for n, t in tensors.items() if "/" in n})
