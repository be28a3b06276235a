"""`Queries`: computes results, convergence curves, Gram matrices and inspections from a snapshot of a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simwidget.estimate.convergence import Curve, convergence
from simwidget.estimate.evaluation import evaluate
from simwidget.estimate.pass_state import PassState
from simwidget.inspection.extremes import Pair
from simwidget.inspection.pair_inspection import Inspection
from simwidget.measures.base import Measure
from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View, positions
from simwidget.text.suggestions import did_you_mean


@dataclass(frozen=True)
class Queries:
    """Computes results, curves, Gram matrices and inspections of one run from snapshots (`PassState`).

    The attributes do not change during the run.
    """

    names: tuple[str, ...]
    """names of the models, in order"""
    measures: tuple[Measure, ...]
    confounders: tuple[str, ...]

    def result(
        self,
        pass_state: PassState,
        measures: Sequence[str] | None = None,
        pairs: Iterable[tuple[int, int]] | None = None,
        *,
        complete: bool = False,
        notes: Sequence[str] = (),
        provenance: Mapping[str, Any] | None = None,
    ) -> SimilarityResult:
        """Return the result computed from `pass_state`.

        Args:
            pass_state: the state of the run.
            measures: names of measures; by default all. The name of a difference, such as "cka-dcka", selects both
                measures and their difference.
            pairs: pairs of models, each model given by its index in `names`; by default all pairs.
            complete: whether the run has finished.
            notes, provenance: the notes and the provenance to store in the result.
        """
        wanted = [one for one in self.measures if measures is None or any(one.name in m.split("-") for m in measures)]
        return evaluate(
            pass_state,
            self.names,
            wanted,
            self.confounders,
            pairs=pairs,
            complete=complete,
            notes=notes,
            provenance=provenance,
        )

    def convergence(self, pass_state: PassState, layer_x: str, layer_y: str, view: View) -> dict[str, Curve]:
        """Return the convergence curves of a pair of layers. The method `pair` explains how to choose the pair.

        The keys of the result are the names of the measures and of the differences of measures.
        """
        return convergence(pass_state, self.measures, self.confounders, *self.pair(pass_state, layer_x, layer_y, view))

    def gram(self, pass_state: PassState, layer: str, model: str | None) -> NDArray[np.float32] | None:
        """Return the centred Gram matrix (m, m) of a layer on the latest m samples; None if there is no Gram matrix.

        The m samples are those of the latest batch, or of several small batches that were joined. `model` is the name
        of the layer's model; None means the first model.
        """
        row = self._row(pass_state, 0 if model is None else self.names.index(model), layer)
        if pass_state.latest is None or pass_state.rows[row].missing is not None:
            return None
        return pass_state.latest.gram(row).float().cpu().numpy()

    def inspect(self, pass_state: PassState, layer_x: str, layer_y: str, view: View) -> Inspection | None:
        """Return the `Inspection` of a pair of layers; None if one of the layers has no Gram matrix.

        The method `pair` explains how to choose the pair.
        """
        rows = self.pair(pass_state, layer_x, layer_y, view)
        if pass_state.latest is None or any(pass_state.rows[row].missing is not None for row in rows):
            return None
        extremes = pass_state.watched.get(Pair(pass_state.rows[row].key for row in rows))
        model_x, model_y = (self.names[position] for position in positions(self.names, view))
        return pass_state.latest.inspect(*rows, extremes, (model_x, layer_x, model_y, layer_y))

    @property
    def title(self) -> str:
        """A title for displays: the names of the models joined by "×", or, for more than three models, their number."""
        return " × ".join(self.names) if len(self.names) < 4 else f"{len(self.names)} models"

    def check_model(self, model: str | None) -> None:
        """Raise ValueError if `model` is neither None nor the name of a compared model."""
        if model is not None and model not in self.names:
            raise ValueError(f"there is no model {model!r}.{did_you_mean(model, self.names)}")

    def pair(self, pass_state: PassState, layer_x: str, layer_y: str, view: View) -> tuple[int, int]:
        """Return the indices of two layers' rows in `pass_state.rows`.

        The view chooses two models. `layer_x` is a layer of the first model, `layer_y` is a layer of the second model.
        Raises ValueError for an unknown layer, model or view.
        """
        x, y = positions(self.names, view)
        return self._row(pass_state, x, layer_x), self._row(pass_state, y, layer_y)

    def _row(self, pass_state: PassState, model: int, layer: str) -> int:
        rows = {str(pass_state.rows[row].key[1]): row for row in pass_state.layers[model]}
        if layer not in rows:
            raise ValueError(
                f"model {self.names[model]!r} has no layer {layer!r} here.{did_you_mean(layer, tuple(rows))}"
            )
        return rows[layer]
