"""Encodes results for the browser pages, as frames (the shown matrix) or snapshots (all matrices in compact form)."""

import time
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from simwidget.result.similarity_result import SimilarityResult
from simwidget.run.progress import Progress
from simwidget.widget.protocol import Axis, BlockInfo, Frame, MeasureInfo, RunInfo, SnapshotMeta

STEPS = 65534
"""The largest 16-bit code that a snapshot uses for a number. Codes start at 0, so the scale has this many steps."""
MISSING = 65535
"""The 16-bit code that a snapshot uses for NaN."""
FINE_CELLS = 150_000
"""Largest number of matrix cells in a finely rounded snapshot, summed over all measures and pairs of models. In a
snapshot with more cells, numbers are rounded more coarsely."""
COARSE = 1.9e-4
"""Usual step size of the numbers in a snapshot with more than `FINE_CELLS` matrix cells. Rounding to steps of this size
changes a number by less than 1e-4."""
LEAST_STEPS = 64
"""Smallest number of steps into which a snapshot divides the range of the numbers in a matrix. The steps are smaller
than `COARSE` if the range would otherwise have fewer steps."""
SNAPSHOT_CELLS = 2_000_000
"""Largest number of matrix cells in a snapshot, summed over all measures and pairs of models. Pairs of models are left
out of the snapshot to stay within this number. The shown pair is never left out."""


def axes_of(result: SimilarityResult) -> list[Axis]:
    """Return a description of each model: its name, the names of its layers, and the class name of each layer."""
    return [
        {"model": model, "layers": list(result.layers(model)), "kinds": list(result.kinds(model))}
        for model in result.models
    ]


def measures_of(result: SimilarityResult) -> list[MeasureInfo]:
    """Return a description of each measure, followed by a description of each difference of two measures."""
    return [about(result, name) for name in (*result.measures, *result.differences)]


def about(result: SimilarityResult, measure: str) -> MeasureInfo:
    reasons = {model: result.reasons(measure, model) for model in result.models}
    kind = result.kind(measure)
    assert kind in ("similarity", "distance", "difference")
    return {"name": measure, "title": result.title(measure), "kind": kind, "reasons": reasons}  # type: ignore[typeddict-item]


def encode_frame(
    result: SimilarityResult, run_id: str, seq: int, measure: str, view: tuple[int, int]
) -> tuple[Frame, list[bytes]]:
    """Return the message with the shown matrix, and two buffers with the values and the standard errors as float32.

    Args:
        result: the result that has the matrix.
        run_id: the identifier of the heatmap.
        seq: the number of the frame.
        measure: the shown measure or difference of measures.
        view: the positions of the model on the rows and of the model on the columns.
    """
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
    """Return the numbers of a result as compressed bytes, and the description of these bytes.

    The bytes have the values and standard errors of all measures and differences, for as many pairs of models as fit
    into `SNAPSHOT_CELLS` matrix cells. The numbers are rounded to a 16-bit scale and compressed by zlib. Rounding
    changes a number by less than 1e-5 of the range of its matrix. In a snapshot with more than `FINE_CELLS` cells,
    rounding is coarser to halve the size, and may change a number by up to 1e-4.

    Args:
        result: the result.
        run_id: the identifier of the heatmap.
        seq: the number of the latest frame (update of the shown matrix).
        first: the positions of the two models of the shown pair, which is always included.
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
    """Return pairs of models, in the order of `_in_order`, until their matrices would have more than `room` cells.

    Each entry is ((x, y), number of cells), where x and y are the positions of the two models. The pair `first` is
    always included.
    """
    found: list[tuple[tuple[int, int], int]] = []
    for x, y in _in_order(result, first):
        cells = len(result.layers(result.models[x])) * len(result.layers(result.models[y]))
        room -= cells
        if room < 0 and found:
            break
        found.append(((x, y), cells))
    return found


def _in_order(result: SimilarityResult, first: tuple[int, int]) -> Iterable[tuple[int, int]]:
    """Return the positions of all compared pairs of models in order of importance.

    The pair `first` comes first, then the remaining pairs of two different models, and last the pairs of a model with
    itself.
    """
    position = {name: index for index, name in enumerate(result.models)}
    pairs = [(position[x], position[y]) for x, y in result.views()]
    return sorted(pairs, key=lambda pair: (set(pair) != set(first), pair[0] == pair[1]))


def _stored(numbers: NDArray[np.float64], symmetric: bool) -> NDArray[np.float64]:
    return numbers[np.triu_indices(len(numbers))] if symmetric else numbers.ravel()


def _quantised(numbers: NDArray[np.float64], coarse: float, low: float | None = None) -> tuple[bytes, float, float]:
    """Encode numbers as 16-bit codes. Return the codes as bytes, the value of code 0, and the value of code `STEPS`.

    Codes 0 to `STEPS` represent equally spaced values; code `MISSING` represents NaN. The range of the numbers extends
    from the value of code 0 to the largest number. The range is divided into as many steps of size `coarse` as needed,
    but into at least `LEAST_STEPS` and at most `STEPS` steps. With fewer than `STEPS` steps, the highest codes are not
    used.

    The low bytes of all codes come first, followed by all high bytes. This order compresses better, because the high
    bytes differ little.

    Args:
        numbers: the values or standard errors of a matrix.
        coarse: the preferred step size; 0 for the smallest possible steps.
        low: the value of code 0; by default the smallest number.
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
    """Return the state, progress and notes of a run, with the present time, for the browser page."""
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
