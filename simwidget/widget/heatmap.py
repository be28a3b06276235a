"""The heatmap of a result as a Jupyter widget. No torch here."""

from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from simwidget.result import SimilarityResult

STATIC = Path(__file__).parent.parent / "static"


def _built(name: str) -> Path:
    path = STATIC / name
    if not path.exists():
        raise FileNotFoundError(
            f"the front end is not built ({path.name} is missing): run `npm ci && npm run build` beside package.json, "
            "or install the package again"
        )
    return path


class SimilarityHeatmap(anywidget.AnyWidget):
    """An interactive heatmap of a `SimilarityResult`: switch measure and models, point at a cell to read it.

    Colours run from 0 to 1 whatever the data; cells without a number are hatched and say why. The numbers travel as
    float32.

    Args:
        result: what to show.
        measure: which of its measures first.
        view: which pair of models first, as in `SimilarityResult.matrix`.

    >>> import simwidget as sw
    >>> models, loader, _ = sw.demo.load()
    >>> result = sw.compare(models, loader, layers=["stage?"], max_batches=2).run(progress=False)
    >>> widget = sw.SimilarityHeatmap(result)
    >>> widget.measure, widget.view
    ('cka', (0, 1))
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    axes: traitlets.List = traitlets.List().tag(sync=True)
    """for each model its name and layers"""
    snapshot = traitlets.Bytes().tag(sync=True)
    """for each block float32 values and standard errors, little-endian, row by row"""
    snapshot_meta = traitlets.Dict().tag(sync=True)
    measure = traitlets.Unicode().tag(sync=True)
    view = traitlets.Tuple(traitlets.Int(), traitlets.Int()).tag(sync=True)

    def __init__(self, result: SimilarityResult, measure: str | None = None, view: Any = "xy") -> None:
        state = _state(result)
        state["measure"] = result.measures[0] if measure is None else measure
        state["view"] = result.positions(view)
        result.matrix(state["measure"], view)  # an unknown measure or view fails here
        super().__init__(
            _esm=_built("heatmap.js").read_text("utf-8"), _css=_built("heatmap.css").read_text("utf-8"), **state
        )

    def show(self, result: SimilarityResult) -> None:
        """Show another result, or a later moment of the same run, in every view of this widget."""
        with self.hold_sync():
            for name, value in _state(result).items():
                setattr(self, name, value)
            if self.measure not in result.measures:
                self.measure = result.measures[0]
            if max(self.view) >= len(result.models):
                self.view = result.positions("xy")


def _state(result: SimilarityResult) -> dict[str, Any]:
    position = {name: index for index, name in enumerate(result.models)}
    blocks: list[dict[str, Any]] = []
    parts: list[bytes] = []
    offset = 0
    for measure in result.measures:
        for view in result.views():
            blocks.append({"measure": measure, "x": position[view[0]], "y": position[view[1]], "offset": offset})
            for numbers in (result.matrix(measure, view), result.stderr(measure, view)):
                parts.append(np.ascontiguousarray(numbers, dtype="<f4").tobytes())
                offset += len(parts[-1])
    measures = [
        {
            "name": measure,
            "title": result.title(measure),
            "kind": result.kind(measure),
            "reasons": {model: result.reasons(measure, model) for model in result.models},
        }
        for measure in result.measures
    ]
    return {
        "axes": [{"model": model, "layers": list(result.layers(model))} for model in result.models],
        "snapshot": b"".join(parts),
        "snapshot_meta": {
            "measures": measures,
            "blocks": blocks,
            "n_samples": result.n_samples,
            "n_batches": result.n_batches,
            "complete": result.complete,
            "notes": list(result.notes),
        },
    }
