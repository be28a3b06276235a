"""Checks of the values that are assigned to the traits of a heatmap.

Each function returns the value to store, or raises ValueError.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from simwidget.result.similarity_result import SimilarityResult
from simwidget.text.suggestions import did_you_mean
from simwidget.widget.protocol import Axis, Selection

SCALES = ("unit", "range", "log")
PALETTES = ("magma", "viridis", "cividis")
MAX_PINNED = 4


def check_measure(measure: str, known: Sequence[str]) -> str:
    if measure not in known:
        raise ValueError(f"this heatmap has no measure {measure!r}.{did_you_mean(measure, known)}")
    return measure


def check_view(view: tuple[int, int], n_models: int, result: SimilarityResult | None) -> tuple[int, int]:
    """Return the positions of two models if they are valid; otherwise raise ValueError.

    Args:
        view: the positions of the two models, from 0 to `n_models` - 1.
        n_models: the number of models.
        result: a result that must have numbers for this pair of models; None to check the positions only.
    """
    if not all(0 <= position < n_models for position in view):
        raise ValueError(f"view={view}: give the positions of two of the {n_models} models, from 0 on")
    if result is not None:
        x, y = (result.models[position] for position in view)
        result.matrix(None, (x, y))
    return view


def check_pair(trait: str, pair: Mapping[str, Any], axes: Sequence[Axis]) -> Selection:
    """Return a pair of layers if its models and layers exist; otherwise raise ValueError.

    Args:
        trait: the name of the trait, for the error message.
        pair: the names `model_x`, `layer_x`, `model_y` and `layer_y`.
        axes: the models with their layers.
    """
    layers = {axis["model"]: axis["layers"] for axis in axes}
    for side in "xy":
        model, layer = pair.get(f"model_{side}"), pair.get(f"layer_{side}")
        if model not in layers:
            raise ValueError(f"{trait}: there is no model {model!r}.{did_you_mean(str(model), tuple(layers))}")
        if layer not in layers[model]:
            raise ValueError(f"{trait}: {model!r} has no layer {layer!r}.{did_you_mean(str(layer), layers[model])}")
    return {key: pair[key] for key in ("model_x", "layer_x", "model_y", "layer_y")}  # type: ignore[return-value]


def check_pinned(pairs: Sequence[Mapping[str, Any]], axes: Sequence[Axis]) -> list[Selection]:
    """Return the pinned pairs of layers if they are valid; otherwise raise ValueError.

    There may be at most `MAX_PINNED` pairs, and no two pairs of the same two layers, in whichever order.
    `js/state/pinned.ts` applies the same rules.
    """
    checked = [check_pair("pinned", pair, axes) for pair in pairs]
    if len(checked) > MAX_PINNED:
        raise ValueError(f"pinned: {len(checked)} pairs, and at most {MAX_PINNED} curves are compared")
    layers = [{(pair["model_x"], pair["layer_x"]), (pair["model_y"], pair["layer_y"])} for pair in checked]
    for k, one in enumerate(layers):
        if one in layers[:k]:
            raise ValueError(f"pinned: pairs {layers.index(one) + 1} and {k + 1} are of the same two layers")
    return checked


def check_scale(scale: Mapping[str, Any]) -> dict[str, Any]:
    if scale.get("mode") not in SCALES:
        raise ValueError(f"scale={scale!r}: mode is one of {', '.join(SCALES)}")
    palette = scale.get("palette") or PALETTES[0]
    if palette not in PALETTES:
        raise ValueError(f"scale={scale!r}: palette is one of {', '.join(PALETTES)}")
    return {"mode": scale["mode"], "limits": dict(scale.get("limits") or {}), "palette": palette}


def check_threshold(threshold: float) -> float:
    if not threshold >= 0:
        raise ValueError(f"threshold={threshold}: give a standard error from 0 on")
    return threshold
