"""A result -> what travels: a frame of the shown numbers, or a compact snapshot of all of them."""

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from simwidget.result import SimilarityResult
from simwidget.widget.protocol import Axis, BlockInfo, Frame, MeasureInfo, SnapshotMeta

STEPS = 65534
MISSING = 65535
LEVEL = 1
"""Of deflation: higher ones take longer, and these numbers hardly get smaller."""
SNAPSHOT_CELLS = 2_000_000
"""Cells of all measures and pairs that a saved notebook may hold; the pairs beyond are left out."""


def axes_of(result: SimilarityResult) -> list[Axis]:
    return [{"model": model, "layers": list(result.layers(model))} for model in result.models]


def measures_of(result: SimilarityResult) -> list[MeasureInfo]:
    return [about(result, name) for name in (*result.measures, *result.differences)]


def about(result: SimilarityResult, measure: str) -> MeasureInfo:
    reasons = {model: result.reasons(measure, model) for model in result.models}
    kind = result.kind(measure)
    assert kind in ("similarity", "distance", "difference")
    return {"name": measure, "title": result.title(measure), "kind": kind, "reasons": reasons}  # type: ignore[typeddict-item]


def encode_frame(
    result: SimilarityResult, run_id: str, seq: int, measure: str, view: tuple[int, int]
) -> tuple[Frame, list[bytes]]:
    """The message and its buffers."""
    pair = (result.models[view[0]], result.models[view[1]])
    parts = [np.ascontiguousarray(one(measure, pair), dtype="<f4") for one in (result.matrix, result.stderr)]
    frame: Frame = {
        "type": "frame",
        "run_id": run_id,
        "seq": seq,
        "view": view,
        "measure": measure,
        "shape": (parts[0].shape[0], parts[0].shape[1]),
        "about": about(result, measure),
        "n_batches": result.n_batches,
        "n_samples": result.n_samples,
    }
    return frame, [part.tobytes() for part in parts]


def encode_snapshot(
    result: SimilarityResult, run_id: str, seq: int, first: tuple[int, int] = (0, 0)
) -> tuple[bytes, SnapshotMeta]:
    """Every measure on every pair of models, deflated; pairs beyond `SNAPSHOT_CELLS` are left out, `first` never.

    Values and errors have 65,535 steps between their extremes, so they are off by less than 1e-5 of the range.
    """
    blocks: list[BlockInfo] = []
    parts: list[bytes] = []
    offset = room = 0
    if result.n_samples:
        measures = (*result.measures, *result.differences)
        for x, y in _in_order(result, first):
            pair = (result.models[x], result.models[y])
            room += result.matrix(None, pair).size * len(measures)
            if room > SNAPSHOT_CELLS and blocks:
                break
            for measure in measures:
                values, low, high = _quantised(_stored(result.matrix(measure, pair), x == y))
                errors, _, error_high = _quantised(_stored(result.stderr(measure, pair), x == y), low=0.0)
                blocks.append(
                    {
                        "measure": measure,
                        "x": x,
                        "y": y,
                        "offset": offset,
                        "low": low,
                        "high": high,
                        "error_high": error_high,
                    }
                )
                parts += [values, errors]
                offset += len(values) + len(errors)
    meta: SnapshotMeta = {
        "run_id": run_id,
        "seq": seq,
        "measures": measures_of(result),
        "blocks": blocks,
        "n_batches": result.n_batches,
        "n_samples": result.n_samples,
        "complete": result.complete,
    }
    return zlib.compress(b"".join(parts), LEVEL) if parts else b"", meta


def _in_order(result: SimilarityResult, first: tuple[int, int]) -> Iterable[tuple[int, int]]:
    """The pairs of the result: the shown one, then those of different models, then the others."""
    position = {name: index for index, name in enumerate(result.models)}
    pairs = [(position[x], position[y]) for x, y in result.views()]
    return sorted(pairs, key=lambda pair: (set(pair) != set(first), pair[0] == pair[1]))


def _stored(numbers: NDArray[np.float64], symmetric: bool) -> NDArray[np.float64]:
    return numbers[np.triu_indices(len(numbers))] if symmetric else numbers.ravel()


def _quantised(numbers: NDArray[np.float64], low: float | None = None) -> tuple[bytes, float, float]:
    """Bytes, the number of step 0, and that of the last step."""
    missing = np.isnan(numbers)
    if missing.all():
        return np.full(numbers.shape, MISSING, dtype="<u2").tobytes(), low or 0.0, low or 0.0
    least = float(np.nanmin(numbers)) if low is None else low
    most = float(np.nanmax(numbers))
    scaled = numbers - least
    scaled *= STEPS / (most - least) if most > least else 0.0
    scaled[missing] = MISSING
    return np.rint(scaled, out=scaled).astype("<u2").tobytes(), least, most
