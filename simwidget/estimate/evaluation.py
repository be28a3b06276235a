"""`evaluate`: computes a `SimilarityResult` from the sums of products over the data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor

from simwidget.estimate.accumulators import Sums
from simwidget.estimate.jackknife import PseudoValues, degrees_of_freedom, pseudo_values
from simwidget.estimate.pass_state import PassState, tolerances
from simwidget.estimate.rounding_notes import rounding_notes, rounding_reason
from simwidget.gram.centring import MIN_RESIDUAL_SHARE
from simwidget.measures import make_differences
from simwidget.measures.base import Measure, RowSelection
from simwidget.result.cells import Cells, MeasureInfo
from simwidget.result.similarity_result import SimilarityResult


def evaluate(
    pass_state: PassState,
    names: Sequence[str],
    measures: Sequence[Measure],
    confounders: Sequence[str],
    *,
    pairs: Iterable[tuple[int, int]] | None = None,
    complete: bool = False,
    notes: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
) -> SimilarityResult:
    """Return a `SimilarityResult`: for each pair of models, the values of all measures between the layers.

    The result also has the differences of measures, standard errors, reasons why layers have no values, and notes.

    Args:
        pass_state: the sums.
        names: names of the models.
        measures: the measures; if they include CKA and dCKA, the difference of these two measures is added.
        confounders: names of the confounders, whose rows come first in the sums.
        pairs: positions of the two models of each pair; by default every pair, including each model with itself.
        complete: whether the run has finished.
        notes: notes for the result in addition to `pass_state.notes`.
        provenance: facts about how the result was made, for storage in the result.
    """
    pairs = list(combinations_with_replacement(range(len(names)), 2) if pairs is None else pairs)
    differences = make_differences(measures)
    evaluations = {measure.name: MeasureEvaluation(pass_state, measure, confounders) for measure in measures}
    reasons = {name: evaluation.reasons for name, evaluation in evaluations.items()}
    for difference in differences:
        reasons[difference.name] = reasons[difference.subtrahend.name] | reasons[difference.minuend.name]
    cells = {}
    for x, y in pairs:
        rows_x, rows_y = pass_state.layers[x], pass_state.layers[y]
        found = {name: evaluation.pseudo_values(rows_x, rows_y) for name, evaluation in evaluations.items()}
        for difference in differences:
            found[difference.name] = found[difference.minuend.name] - found[difference.subtrahend.name]
        for name, values in found.items():
            cells[name, x, y] = _cells(values, rows_x, rows_y, reasons[name])

    def info(name: str, title: str, kind: str, df: float) -> MeasureInfo:
        by_layer = {
            model: {str(pass_state.rows[row].key[1]): reasons[name][row] for row in rows if row in reasons[name]}
            for model, rows in zip(names, pass_state.layers, strict=True)
        }
        return MeasureInfo(title, kind, df, by_layer)

    info_by_name = {m.name: info(m.name, m.title, m.kind, evaluations[m.name].df) for m in measures}
    info_by_name |= {d.name: info(d.name, d.title, "difference", evaluations[d.minuend.name].df) for d in differences}
    all_notes = [*pass_state.notes, *notes, *(note for evaluation in evaluations.values() for note in evaluation.notes)]
    return SimilarityResult(
        models=tuple(names),
        measures=tuple(measure.name for measure in measures),
        n_samples=pass_state.n_samples,
        n_batches=pass_state.n_batches,
        complete=complete,
        notes=tuple(dict.fromkeys(all_notes)),
        provenance=dict(provenance or {}),
        _layers=tuple(tuple(str(pass_state.rows[row].key[1]) for row in rows) for rows in pass_state.layers),
        _info=info_by_name,
        _cells=cells,
        _kinds=tuple(tuple(pass_state.rows[row].kind for row in rows) for rows in pass_state.layers),
    )


class MeasureEvaluation:
    """Evaluates one measure on the sums of a `PassState`, and finds out why some layers have no values.

    The methods identify a layer or confounder by the index of its row in the sums.

    Attributes:
        reasons: for the index of each layer or confounder without values, the reason.
        notes: notes about the confounders and about rounding, for readers of the result.
        df: degrees of freedom of the t intervals, the same for every pair of rows; NaN with fewer than two groups of
            batches.
    """

    def __init__(self, pass_state: PassState, measure: Measure, confounders: Sequence[str]) -> None:
        self._measure = measure
        self._n_confounders = len(confounders)
        self._tolerance = tolerances(pass_state.rows)
        self._sums: Sums | None = pass_state.sums.get(measure.rows)
        self._basis = None
        self.df = float("nan")
        self.notes: list[str] = []
        self.reasons: dict[int, str] = {}
        if self._sums is None or not self._sums.weights.any():
            not_yet = f"no batch of {measure.rows.min_samples} samples yet"
            self.reasons = {index: row.missing or not_yet for index, row in enumerate(pass_state.rows)}
            self._sums = None
            return
        self.df = degrees_of_freedom(self._sums.weights)
        total = self._sums.products.sum(0)
        self._tolerance = self._tolerance.to(total.device)
        self._basis = measure.evaluate.basis(total, self._n_confounders)
        explained = measure.evaluate.explained(total, self._tolerance, self._n_confounders, self._basis)
        self._find_reasons(pass_state, total.diagonal().cpu(), explained.cpu())
        if measure.evaluate.uses_confounder:
            self._check_confounders(pass_state, confounders)

    def _find_reasons(self, pass_state: PassState, variance: torch.Tensor, explained: torch.Tensor) -> None:
        """Record in `reasons` one reason for each layer or confounder without values.

        If several reasons apply, the first in this list is recorded: a reason known before the evaluation, values that
        are not finite, an undefined row in a batch, a constant representation, or a representation that the confounders
        explain. A note names the layers that have values, but whose variance may partly be rounding errors.

        Args:
            pass_state: the sums, for R layers and confounders.
            variance: (R,), the diagonal of the summed products.
            explained: bool (R,), whether the confounders explain each layer.
        """
        undefined_in = pass_state.undefined[self._measure.rows]
        not_finite, undefined = undefined_in.not_finite.tolist(), undefined_in.no_row.tolist()
        counts, uncertain = undefined_in.n_not_finite.tolist(), undefined_in.uncertain.tolist()
        constant = (variance <= 0).tolist()
        is_explained = explained.tolist()
        for index, row in enumerate(pass_state.rows):
            if row.missing is not None:
                self.reasons[index] = row.missing
            elif not_finite[index] >= 0:
                more = counts[index] - 1
                again = f", and {more} more time{'' if more == 1 else 's'}" if more > 0 else ""
                self.reasons[index] = f"non-finite values in batch {not_finite[index]} ({row.dtype}){again}"
            elif undefined[index] >= 0:
                self.reasons[index] = f"constant, or explained by the confounder, in batch {undefined[index]}"
            elif constant[index]:
                self.reasons[index] = rounding_reason(row) if uncertain[index] >= 0 else "constant representation"
            elif is_explained[index]:
                self.reasons[index] = "explained by the confounder"
        compared = [index for rows in pass_state.layers for index in rows if index not in self.reasons]
        self.notes += rounding_notes([pass_state.rows[index] for index in compared if uncertain[index] >= 0])

    def _check_confounders(self, pass_state: PassState, confounders: Sequence[str]) -> None:
        """Add a note for each confounder that does not vary or has values that are not finite.

        A confounder with values that are not finite becomes the reason why no layer has values. It replaces all earlier
        reasons.
        """
        not_finite = pass_state.undefined[self._measure.rows].not_finite
        for index, name in enumerate(confounders):
            if not_finite[index] >= 0:
                why = f"confounder {name!r} has non-finite values in batch {not_finite[index]}"
                self.notes.append(f"{self._measure.title} is not available: {why}")
                self.reasons = {row: why for row in range(len(pass_state.rows))}
            elif self._basis is not None and index in self._basis.dropped:
                self.notes.append(f"confounder {name!r} does not vary over these samples and is left out")

    def pseudo_values(self, rows_x: Sequence[int], rows_y: Sequence[int]) -> PseudoValues:
        """Return the jackknife pseudo-values of the measure between the layers at the indices `rows_x` and `rows_y`.

        The estimate is a matrix (len(rows_x), len(rows_y)). Before the first block of samples, all elements are NaN.
        """
        if self._sums is None:
            shape = (len(rows_x), len(rows_y))
            nan = torch.full(shape, torch.nan, dtype=torch.float64)
            return PseudoValues(nan, nan[None, :0], (), float("nan"))
        return pseudo_values(self.evaluator(rows_x, rows_y), self._sums)

    def evaluator(self, rows_x: Sequence[int], rows_y: Sequence[int]) -> Callable[[Tensor, Tensor], Tensor]:
        """Return a function that computes the measure between the layers at the indices `rows_x` and `rows_y`.

        The function takes summed products (R, R) and their total weight (), and returns a matrix of values
        (len(rows_x), len(rows_y)).
        """
        device = self._tolerance.device
        x, y = (torch.tensor(rows, dtype=torch.long, device=device) for rows in (rows_x, rows_y))
        selection = RowSelection(x, y, self._tolerance, self._n_confounders)
        return lambda products, weight: self._measure.evaluate(products, weight, selection, self._basis)


def _cells(found: PseudoValues, rows_x: Sequence[int], rows_y: Sequence[int], reasons: Mapping[int, str]) -> Cells:
    """Compute the `Cells` of two models from pseudo-values.

    The cells are three NumPy arrays (len(rows_x), len(rows_y)): the values, the standard errors, and whether one group
    of batches dominates the variance. For layers with an entry in `reasons`, the elements are NaN, NaN and False.
    """
    x, y = (torch.tensor([row in reasons for row in rows], dtype=torch.bool) for rows in (rows_x, rows_y))
    undefined = x[:, None] | y
    estimate = found.estimate()
    values, stderr = (part.cpu().masked_fill_(undefined, torch.nan) for part in (estimate.values, estimate.stderr))
    return Cells(values.numpy(), stderr.numpy(), (estimate.dominated.cpu() & ~undefined).numpy())


def point_estimate(measure: Measure, sums: Sums, n_confounders: int) -> float:
    """Return the value of a measure between two layers, without a standard error.

    The first `n_confounders` rows of the sums belong to the confounders, the last two rows to the layers.
    """
    products, weight = sums.products.sum(0), sums.weights.sum()
    rows = torch.arange(len(products), device=products.device)
    tolerance = torch.full((len(products),), MIN_RESIDUAL_SHARE, dtype=torch.float64, device=products.device)
    selection = RowSelection(rows[-2:-1], rows[-1:], tolerance, n_confounders)
    basis = measure.evaluate.basis(products, n_confounders)
    return measure.evaluate(products, weight, selection, basis).item()
