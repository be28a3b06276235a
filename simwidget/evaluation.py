"""The sums of a pass -> the result that people see."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import torch

from simwidget.accumulators import Sums
from simwidget.jackknife import jackknife
from simwidget.measures.base import Block, Measure
from simwidget.result import Cells, MeasureInfo, SimilarityResult
from simwidget.rows import EXPLAINED
from simwidget.stream import Frozen, tolerances


def evaluate(
    frozen: Frozen,
    names: Sequence[str],
    measures: Sequence[Measure],
    confounders: Sequence[str],
    *,
    pairs: Iterable[tuple[int, int]] | None = None,
    complete: bool = False,
    notes: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
) -> SimilarityResult:
    """Every measure on the given pairs of models (all by default), with errors, reasons and notes."""
    pairs = list(combinations_with_replacement(range(len(names)), 2) if pairs is None else pairs)
    all_notes = [*frozen.notes, *notes]
    info, cells = {}, {}
    for measure in measures:
        seen = _Evaluated(frozen, measure, confounders)
        for x, y in pairs:
            cells[measure.name, x, y] = seen.cells(frozen.layers[x], frozen.layers[y])
        reasons = {
            name: {str(frozen.rows[row].key[1]): seen.reasons[row] for row in rows if row in seen.reasons}
            for name, rows in zip(names, frozen.layers, strict=True)
        }
        info[measure.name] = MeasureInfo(measure.title, measure.kind, seen.df, reasons)
        all_notes += seen.notes
    return SimilarityResult(
        models=tuple(names),
        measures=tuple(measure.name for measure in measures),
        n_samples=frozen.n_samples,
        n_batches=frozen.n_batches,
        complete=complete,
        notes=tuple(dict.fromkeys(all_notes)),
        provenance=dict(provenance or {}),
        _layers=tuple(tuple(str(frozen.rows[row].key[1]) for row in rows) for rows in frozen.layers),
        _info=info,
        _cells=cells,
    )


class _Evaluated:
    """One measure over one frozen pass: which rows have numbers, why the others have none, and the numbers."""

    def __init__(self, frozen: Frozen, measure: Measure, confounders: Sequence[str]) -> None:
        self._measure = measure
        self._n_confounders = len(confounders)
        self._tolerance = tolerances(frozen.rows)
        self._sums: Sums | None = frozen.sums.get(measure.rows)
        self._basis = None
        self.df = float("nan")
        self.notes: list[str] = []
        self.reasons: dict[int, str] = {}
        if self._sums is None or not self._sums.weights.any():
            waiting = f"no batch of {measure.rows.min_samples} samples yet"
            self.reasons = {index: row.missing or waiting for index, row in enumerate(frozen.rows)}
            self._sums = None
            return
        total = self._sums.products.sum(0)
        self._tolerance = self._tolerance.to(total.device)
        self._basis = measure.evaluate.basis(total, self._n_confounders)
        explained = measure.evaluate.explained(total, self._tolerance, self._n_confounders, self._basis)
        self._explain(frozen, total.diagonal().cpu(), explained.cpu())
        if measure.evaluate.uses_confounder:
            self._check_confounders(frozen, confounders)

    def _explain(self, frozen: Frozen, variance: torch.Tensor, explained: torch.Tensor) -> None:
        """The rows without numbers, each with its first cause."""
        not_finite, undefined = frozen.undefined[self._measure.rows]
        for index, row in enumerate(frozen.rows):
            if row.missing is not None:
                self.reasons[index] = row.missing
            elif not_finite[index] >= 0:
                self.reasons[index] = f"non-finite values in batch {not_finite[index]} ({row.dtype})"
            elif undefined[index] >= 0:
                self.reasons[index] = f"constant, or explained by the confounder, in batch {undefined[index]}"
            elif variance[index] <= 0:
                self.reasons[index] = "constant representation"
            elif explained[index]:
                self.reasons[index] = "explained by the confounder"

    def _check_confounders(self, frozen: Frozen, confounders: Sequence[str]) -> None:
        """Name the confounders without variance; one that is not finite leaves nothing to call deconfounded."""
        not_finite = frozen.undefined[self._measure.rows][0]
        for index, name in enumerate(confounders):
            if not_finite[index] >= 0:
                why = f"confounder {name!r} has non-finite values in batch {not_finite[index]}"
                self.notes.append(f"{self._measure.title} is not available: {why}")
                self.reasons = {row: why for row in range(len(frozen.rows))}
            elif self._basis is not None and index in self._basis.dropped:
                self.notes.append(f"confounder {name!r} does not vary over these samples and is left out")

    def cells(self, rows_x: Sequence[int], rows_y: Sequence[int]) -> Cells:
        if self._sums is None:
            shape = (len(rows_x), len(rows_y))
            nan = torch.full(shape, torch.nan, dtype=torch.float64)
            return Cells(nan.numpy(), nan.clone().numpy(), torch.zeros(shape, dtype=torch.bool).numpy())
        device = self._sums.products.device
        x, y = (torch.tensor(rows, dtype=torch.long, device=device) for rows in (rows_x, rows_y))
        block = Block(x, y, self._tolerance, self._n_confounders)
        estimate = jackknife(lambda products, w: self._measure.evaluate(products, w, block, self._basis), self._sums)
        self.df = estimate.df
        lost_x, lost_y = ([row in self.reasons for row in rows] for rows in (rows_x, rows_y))
        lost = torch.tensor(lost_x)[:, None] | torch.tensor(lost_y)
        values, stderr = (part.cpu().masked_fill_(lost, torch.nan) for part in (estimate.values, estimate.stderr))
        return Cells(values.numpy(), stderr.numpy(), (estimate.dominated.cpu() & ~lost).numpy())


def direct(measure: Measure, sums: Sums, n_confounders: int) -> float:
    """The measure of the last two rows, without an error."""
    products, weight = sums.products.sum(0), sums.weights.sum()
    rows = torch.arange(len(products), device=products.device)
    tolerance = torch.full((len(products),), EXPLAINED, dtype=torch.float64, device=products.device)
    block = Block(rows[-2:-1], rows[-1:], tolerance, n_confounders)
    basis = measure.evaluate.basis(products, n_confounders)
    return measure.evaluate(products, weight, block, basis).item()
