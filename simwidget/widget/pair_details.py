"""The message about one pair of layers: every measure with its curve, Gram matrices, spectra and samples."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simwidget.inspection.pair_inspection import Inspection
from simwidget.inspection.pair_inspection import Sample as Inspected
from simwidget.widget.protocol import Curve, Detail, Inside, PairMeasure, Sample, Selection
from simwidget.widget.sources import Source

MAX_ROWS = 128
"""The largest number of rows of a Gram matrix that are sent; of a larger one, evenly spaced rows."""
MAX_SHARES = 64
"""The largest number of eigenvalues that are sent. The effective dimension is computed from all of them."""
NO_PICTURE = 128
"""The grey value of a sample that has no thumbnail, where others have one."""


def encode_detail(
    source: Source, run_id: str, seq: int, pair: Selection, inside: bool
) -> tuple[Detail, list[bytes] | None]:
    """The message with the details of one pair of layers, and its binary buffers.

    Args:
        pair: the two layers, by name; if the source does not have them any more, the message has no numbers.
        inside: whether Gram matrices, spectra and samples are included.
    """
    view = (pair["model_x"], pair["model_y"])
    try:
        curves = source.convergence(pair["layer_x"], pair["layer_y"], view)
        inspection = source.inspect(pair["layer_x"], pair["layer_y"], view) if inside else None
    except ValueError:
        curves, inspection = {}, None
    found, buffers = (None, None) if inspection is None else encode_inside(inspection)
    detail: Detail = {
        "type": "detail",
        "run_id": run_id,
        "seq": seq,
        "pair": pair,
        "measures": [_measure(name, curve) for name, curve in curves.items()],
        "inside": found,
    }
    return detail, buffers


def encode_inside(inspection: Inspection) -> tuple[Inside, list[bytes]]:
    """Gram matrices, spectra and samples of a pair; the buffers are both Gram matrices and all thumbnails."""
    m = inspection.n_samples
    shown = np.linspace(0, m - 1, min(m, MAX_ROWS)).round().astype(int)
    grams = [gram[shown][:, shown].astype("<f4").tobytes() for gram in (inspection.gram_x, inspection.gram_y)]
    thumbnail, pictures = _pictures([*inspection.least, *inspection.most])
    inside: Inside = {
        "size": len(shown),
        "n_samples": m,
        "labels": None if inspection.labels is None else inspection.labels[shown].tolist(),
        "spectrum_x": _shares(inspection.spectrum_x),
        "spectrum_y": _shares(inspection.spectrum_y),
        "dimension_x": number(inspection.dimension_x),
        "dimension_y": number(inspection.dimension_y),
        "n_compared": inspection.n_compared,
        "least": [_sample(one) for one in inspection.least],
        "most": [_sample(one) for one in inspection.most],
        "thumbnail": thumbnail,
    }
    return inside, [*grams, pictures]


def _pictures(samples: Iterable[Inspected]) -> tuple[tuple[int, int, int] | None, bytes]:
    """The common shape (h, w, c) of the thumbnails and their concatenated bytes; None where no sample has one."""
    thumbnails = [one.thumbnail for one in samples]
    shape = next((one.shape for one in thumbnails if one is not None), None)
    if shape is None:
        return None, b""
    h, w, c = shape
    missing = np.full(shape, NO_PICTURE, dtype=np.uint8)
    return (h, w, c), b"".join((missing if one is None else one).tobytes() for one in thumbnails)


def _measure(name: str, curve: Any) -> PairMeasure:
    values, errors = ([number(one) for one in part] for part in (curve.values, curve.stderr))
    points: Curve = {"n_batches": [int(n) for n in curve.n_batches], "values": values, "stderr": errors}
    return {"name": name, "value": values[-1], "stderr": errors[-1], "curve": points}


def _sample(one: Inspected) -> Sample:
    return {"index": one.index, "label": one.label, "value": one.value}


def _shares(spectrum: NDArray[np.float64]) -> list[float]:
    """The first eigenvalues, as shares; empty for a Gram matrix that is not finite, since JSON has no NaN."""
    return spectrum[:MAX_SHARES].tolist() if np.isfinite(spectrum).all() else []


def number(value: float) -> float | None:
    """A number, or None for one that is not finite, since JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
