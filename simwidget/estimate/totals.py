"""`Totals`: for each row map, the summed products, their history, and when each row was first undefined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simwidget.estimate.accumulators import GramAccumulator, Sums
from simwidget.estimate.history import History, HistoryPoint
from simwidget.estimate.undefined import Undefined
from simwidget.files.fields import MalformedError
from simwidget.gram.gram_batch import Grams
from simwidget.gram.row_maps import RowMap, UnitRows


@dataclass(frozen=True)
class Addition:
    """What one block of samples adds to the sums: for each row map, the products of R rows and the block's weight.

    The sums change only after the addition has been computed for all row maps. Therefore an error in the computation
    leaves the sums consistent.
    """

    products: Mapping[RowMap, Tensor]
    """for each row map, the products (R, R) of the rows, in float64; zero for rows that are not `defined`"""
    weights: Mapping[RowMap, float]
    """for each row map, the weight of the block"""
    finite: Tensor
    """(R,) bool: whether each layer's or confounder's Gram matrix has only finite values"""
    defined: Mapping[RowMap, Tensor]
    """for each row map, (R,) bool: whether each row has only finite values"""
    uncertain: Tensor
    """(R,) bool: whether a noticeable share of each representation's variance may be nothing but rounding errors"""


class Totals:
    """The sums over one pass through the data: for each row map, the products of rows and the weights of blocks.

    A `Totals` also has the history of the sums, and the batch in which each row was first undefined. `allocate` creates
    the sums.
    """

    def __init__(self, row_maps: Sequence[RowMap]) -> None:
        self.row_maps = tuple(row_maps)
        self.min_samples = max(row_map.min_samples for row_map in self.row_maps)
        self._accumulators: dict[RowMap, GramAccumulator] = {}
        self._undefined: dict[RowMap, Undefined] = {}
        self._history: dict[RowMap, History] = {}

    def __bool__(self) -> bool:
        """Whether the sums exist, that is, whether `allocate` was called."""
        return bool(self._accumulators)

    @property
    def uses_float64(self) -> bool:
        """Whether any row map copies the Gram matrices to float64. The copy needs additional memory."""
        return any(isinstance(row_map, UnitRows) for row_map in self.row_maps)

    def allocate(self, n_rows: int, device: torch.device) -> None:
        """Create the sums, all zero, for `n_rows` rows (confounders and layers). This number cannot change later."""
        for row_map in self.row_maps:
            never = torch.full((n_rows,), -1, device=device)
            self._undefined[row_map] = Undefined(never, never.clone(), torch.zeros_like(never), never.clone())
            self._accumulators[row_map] = GramAccumulator(n_rows, row_map.factor, device)
            self._history[row_map] = History(n_rows, device)

    def compute_addition(self, grams: Grams, n_confounders: int) -> Addition:
        """Compute the `Addition` of one block of samples from its Gram matrices. The sums do not change."""
        stack = grams.stack
        products, weights, defined = {}, {}, {}
        for row_map in self.row_maps:
            rows = row_map(stack, n_confounders)
            defined[row_map] = rows.sum(1).isfinite()
            rows.masked_fill_(~defined[row_map][:, None], 0.0)
            products[row_map] = self._accumulators[row_map].product(rows)
            weights[row_map] = row_map.weight(stack.shape[1])
        finite = stack.diagonal(dim1=1, dim2=2).sum(1).isfinite()
        return Addition(products, weights, finite, defined, grams.uncertain)

    def add(self, addition: Addition, index: int, n_batches: int) -> None:
        """Add one block of samples to the sums.

        Args:
            addition: the result of `compute_addition` for this block.
            index: the index of the block, which determines its jackknife group.
            n_batches: number of batches of the loader that have gone through the models, completely or in part.
        """
        for row_map in self.row_maps:
            history, undefined = self._history[row_map], self._undefined[row_map]
            state = self._accumulators[row_map]
            state.add_product(addition.products[row_map], addition.weights[row_map], index)
            if history.count_gram():
                history.append(n_batches, *state.total())
            pairs = (
                (undefined.not_finite, ~addition.finite),
                (undefined.no_row, ~addition.defined[row_map]),
                (undefined.uncertain, addition.uncertain),
            )
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
        """Return the sums, their history and the fields of each `Undefined` as named tensors for `restore`."""
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
        """Set the sums, their history and each `Undefined` from the tensors that `arrays()` of a `Totals` returned.

        Before, call `allocate` with the same number of rows.

        Raises:
            MalformedError: a tensor is missing or has the wrong shape or dtype, or the sums have values that are not
                finite.
        """
        for k, row_map in enumerate(self.row_maps):
            prefix = f"sums/{k}/"
            tensors = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            state, undefined = self._accumulators[row_map], self._undefined[row_map]
            for name, target in {**state.tensors(), **vars(undefined)}.items():
                given = tensors.get(name)
                if given is None or given.shape != target.shape or given.dtype != target.dtype:
                    raise MalformedError(f"its array {prefix + name!r} does not fit this run")
                if not given.isfinite().all():
                    raise MalformedError(f"its array {prefix + name!r} holds values that are not finite")
                target.copy_(given)
            self._history[row_map].restore({n.removeprefix("history/"): t for n, t in tensors.items() if "/" in n})
