"""Encodes the message about a pair of layers: values and curves of all measures, Gram matrices, spectra and samples."""

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
"""Largest number of rows and of columns of a Gram matrix in a message. A larger matrix is reduced to evenly spaced rows
and the columns with the same indices."""
MAX_SHARES = 64
"""Largest number of eigenvalues per layer in a message. The effective dimension is computed from all eigenvalues."""
NO_PICTURE = 128
"""Grey value, from 0 to 255, of the image that replaces a missing thumbnail if other samples have thumbnails."""


def encode_detail(
    source: Source, run_id: str, seq: int, pair: Selection, inside: bool
) -> tuple[Detail, list[bytes] | None]:
    """Return the message with the details of one pair of layers, and the list of the message's buffers.

    If the message has no Gram matrices, spectra and samples, None is returned in place of the list.

    Args:
        source: the run or result that has the numbers.
        run_id: the identifier of the heatmap.
        seq: the number of the latest frame (update of the shown matrix).
        pair: the names of the layers and models. If the source does not know these names, the message has no numbers.
        inside: whether to include Gram matrices, spectra and samples.
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
    """Return the field `inside` of a `Detail` message about two layers, and the message's three buffers.

    The field has the spectra of the two layers, and the samples on which the layers agree least and most.

    The buffers are the Gram matrix of the first layer, the Gram matrix of the second layer, and all thumbnails.
    """
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
    """Return the shape (height, width, channels) of each thumbnail, and the concatenated bytes of all thumbnails.

    If no sample has a thumbnail, the shape is None and the bytes are empty.
    """
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
    """Return the first `MAX_SHARES` entries of a spectrum as a list.

    An entry is an eigenvalue divided by the sum of all eigenvalues. The list is empty if any entry of the spectrum is
    not finite, since JSON has no NaN.
    """
    return spectrum[:MAX_SHARES].tolist() if np.isfinite(spectrum).all() else []


def number(value: float) -> float | None:
    """Return `value` as a float, or None if `value` is not finite, since JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
