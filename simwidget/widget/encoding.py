"""Results as messages: a frame holds the numbers that are shown, a snapshot all numbers in compact form."""

import time
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from simwidget.result.similarity_result import SimilarityResult
from simwidget.run.progress import Progress
from simwidget.widget.protocol import Axis, BlockInfo, Frame, MeasureInfo, RunInfo, SnapshotMeta

STEPS = 65534
"""Steps of the 16-bit scale of a snapshot."""
MISSING = 65535
"""The code of NaN."""
FINE_CELLS = 150_000
"""The largest number of cells, over all measures and pairs, for which all steps are used."""
COARSE = 1.9e-4
"""The size of a step above that number: values are rounded by less than 1e-4."""
LEAST_STEPS = 64
"""The smallest number of steps between the extremes, however coarse they are."""
SNAPSHOT_CELLS = 2_000_000
"""The largest number of cells, over all measures and pairs, in a saved notebook; further pairs are left out."""


def axes_of(result: SimilarityResult) -> list[Axis]:
    """The models with their layers."""
    return [
        {"model": model, "layers": list(result.layers(model)), "kinds": list(result.kinds(model))}
        for model in result.models
    ]


def measures_of(result: SimilarityResult) -> list[MeasureInfo]:
    """What the page must know of each measure, and then of each difference between measures."""
    return [about(result, name) for name in (*result.measures, *result.differences)]


def about(result: SimilarityResult, measure: str) -> MeasureInfo:
    reasons = {model: result.reasons(measure, model) for model in result.models}
    kind = result.kind(measure)
    assert kind in ("similarity", "distance", "difference")
    return {"name": measure, "title": result.title(measure), "kind": kind, "reasons": reasons}  # type: ignore[typeddict-item]


def encode_frame(
    result: SimilarityResult, run_id: str, seq: int, measure: str, view: tuple[int, int]
) -> tuple[Frame, list[bytes]]:
    """The message of a frame; its buffers are the values and the standard errors as float32."""
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
    """Every measure and difference on every pair of models, quantised to 16 bits and deflated.

    Pairs beyond `SNAPSHOT_CELLS` are left out, but never the pair `first`. Rounding errors are below 1e-5 of the range;
    with more than `FINE_CELLS` cells they may be up to 1e-4 in absolute terms, which halves the size.
    """
    measures = (*result.measures, *result.differences)
    pairs = _with_room(result, first, SNAPSHOT_CELLS // len(measures)) if result.n_samples else []
    coarse = COARSE if len(measures) * sum(cells for _, cells in pairs) > FINE_CELLS else 0.0
    blocks: list[BlockInfo] = []
    parts: list[bytes] = []
    offset = 0
    for (x, y), _ in pairs:
        pair = (result.models[x], result.models[y])
        for measure in measures:
            values, low, high = _quantised(_stored(result.matrix(measure, pair), x == y), coarse)
            errors, _, error_high = _quantised(_stored(result.stderr(measure, pair), x == y), coarse, low=0.0)
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
    return zlib.compress(b"".join(parts)) if parts else b"", meta


def _with_room(result: SimilarityResult, first: tuple[int, int], room: int) -> list[tuple[tuple[int, int], int]]:
    """The pairs that fit into `room` cells, each with its number of cells; the first one always."""
    found: list[tuple[tuple[int, int], int]] = []
    for x, y in _in_order(result, first):
        cells = len(result.layers(result.models[x])) * len(result.layers(result.models[y]))
        room -= cells
        if room < 0 and found:
            break
        found.append(((x, y), cells))
    return found


def _in_order(result: SimilarityResult, first: tuple[int, int]) -> Iterable[tuple[int, int]]:
    """The pairs in order of importance: the shown one, those of different models, those within one model."""
    position = {name: index for index, name in enumerate(result.models)}
    pairs = [(position[x], position[y]) for x, y in result.views()]
    return sorted(pairs, key=lambda pair: (set(pair) != set(first), pair[0] == pair[1]))


def _stored(numbers: NDArray[np.float64], symmetric: bool) -> NDArray[np.float64]:
    return numbers[np.triu_indices(len(numbers))] if symmetric else numbers.ravel()


def _quantised(numbers: NDArray[np.float64], coarse: float, low: float | None = None) -> tuple[bytes, float, float]:
    """The codes as bytes, the value of code 0 and that of the last code, which the data need not reach.

    A step is the range divided by `STEPS`, or `coarse` if that is larger, but at most the range divided by
    `LEAST_STEPS`. All low bytes are stored before all high bytes, which differ little and deflate well.
    """
    missing = np.isnan(numbers)
    least = most = low or 0.0
    if not missing.all():
        least = float(np.nanmin(numbers)) if low is None else low
        most = float(np.nanmax(numbers))
    step = max((most - least) / STEPS, min(coarse, (most - least) / LEAST_STEPS))
    steps = np.full(numbers.shape, MISSING, dtype="<u2")
    steps[~missing] = np.rint((numbers[~missing] - least) / (step or 1.0))
    return steps.view(np.uint8).reshape(-1, 2).T.tobytes(), least, least + step * STEPS


def info_of(progress: Progress, notes: list[str]) -> RunInfo:
    """How far the run is, for the page."""
    return {
        "state": progress.state,
        "n_batches": progress.n_batches,
        "n_batches_expected": progress.n_batches_expected,
        "n_samples": progress.n_samples,
        "rate": progress.rate,
        "seconds_left": progress.seconds_left,
        "notes": list(notes),
        "error": progress.error,
        "at": time.time(),
    }
