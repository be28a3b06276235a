"""Checks of the values that are assigned to the traits of a heatmap, by Python code or by a browser page.

Each function whose name begins with `check_` returns the value to store, or raises `TraitValueError` if the given value
is invalid.
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import traitlets

from simwidget.result.layer_tree import paths_of
from simwidget.result.similarity_result import SimilarityResult
from simwidget.text.suggestions import did_you_mean
from simwidget.widget.protocol import Axis, Selection

SCALES = ("unit", "range", "log")
PALETTES = ("magma", "viridis", "cividis")
MAX_PINNED = 4
LARGEST = sys.float_info.max
FROM_PAGES = ("measure", "view", "shows", "selection", "pinned", "open_x", "open_y", "scale", "threshold")
"""Names of all traits that a browser page may set."""


class TraitValueError(traitlets.TraitError, ValueError):
    """Raised for an invalid value of a trait.

    The class is derived from `TraitError` because `hold_trait_notifications` of traitlets undoes assignments only after
    a `TraitError`.
    """


def check_measure(measure: str, known: Sequence[str]) -> str:
    if measure not in known:
        raise TraitValueError(f"this heatmap has no measure {measure!r}.{did_you_mean(measure, known)}")
    return measure


def check_view(view: tuple[int, int], n_models: int, result: SimilarityResult | None) -> tuple[int, int]:
    """Return the positions of two models if they are valid; otherwise raise TraitValueError.

    Args:
        view: the positions of the two models, from 0 to `n_models` - 1.
        n_models: the number of models.
        result: a result that must have numbers for this pair of models; None to check the positions only.
    """
    if not all(0 <= position < n_models for position in view) or any(isinstance(one, bool) for one in view):
        raise TraitValueError(f"view={view}: give the positions of two of the {n_models} models, from 0 on")
    if result is not None:
        x, y = (result.models[position] for position in view)
        try:
            result.matrix(None, (x, y))
        except ValueError as error:
            raise TraitValueError(str(error)) from None
    return view


def check_pair(trait: str, pair: Mapping[str, Any], axes: Sequence[Axis]) -> Selection:
    """Return a pair of layers if its models and layers exist; otherwise raise TraitValueError.

    Args:
        trait: the name of the trait, for the error message.
        pair: the names of the models and layers, under the keys "model_x", "layer_x", "model_y" and "layer_y".
        axes: the models with their layers.
    """
    layers = {axis["model"]: axis["layers"] for axis in axes}
    for side in "xy":
        model, layer = pair.get(f"model_{side}"), pair.get(f"layer_{side}")
        if not isinstance(model, str) or model not in layers:
            raise TraitValueError(f"{trait}: there is no model {model!r}.{did_you_mean(str(model), tuple(layers))}")
        if layer not in layers[model]:
            raise TraitValueError(
                f"{trait}: {model!r} has no layer {layer!r}.{did_you_mean(str(layer), layers[model])}"
            )
    return {key: pair[key] for key in ("model_x", "layer_x", "model_y", "layer_y")}  # type: ignore[return-value]


def check_pinned(pairs: Sequence[Mapping[str, Any]], axes: Sequence[Axis]) -> list[Selection]:
    """Return the pinned pairs of layers if they are valid; otherwise raise TraitValueError.

    At most `MAX_PINNED` pairs are allowed. No two pairs may consist of the same two layers, even in opposite order.
    `js/state/pinned.ts` applies the same rules.
    """
    checked = [check_pair("pinned", pair, axes) for pair in pairs]
    if len(checked) > MAX_PINNED:
        raise TraitValueError(f"pinned: {len(checked)} pairs, and at most {MAX_PINNED} curves are compared")
    layers = [{(pair["model_x"], pair["layer_x"]), (pair["model_y"], pair["layer_y"])} for pair in checked]
    for k, one in enumerate(layers):
        if one in layers[:k]:
            raise TraitValueError(f"pinned: pairs {layers.index(one) + 1} and {k + 1} are of the same two layers")
    return checked


def check_open(trait: str, opened: Mapping[str, Sequence[str]], axes: Sequence[Axis]) -> dict[str, list[str]]:
    """Return the unfolded blocks of each model if the models and blocks exist; otherwise raise TraitValueError.

    Args:
        trait: the name of the trait, for the error message.
        opened: for each model the paths of its unfolded blocks. A path is a layer name or a dotted prefix of one.
        axes: the models with their layers.
    """
    layers = {axis["model"]: axis["layers"] for axis in axes}
    checked: dict[str, list[str]] = {}
    for model, paths in opened.items():
        if model not in layers:
            raise TraitValueError(f"{trait}: there is no model {model!r}.{did_you_mean(str(model), tuple(layers))}")
        if isinstance(paths, str) or not isinstance(paths, Sequence):
            raise TraitValueError(f"{trait}: give a list of the unfolded blocks of {model!r}, not {paths!r}")
        known = blocks_of(layers[model])
        for path in paths:
            if not isinstance(path, str) or path not in known:
                raise TraitValueError(
                    f"{trait}: {model!r} has no block {path!r}.{did_you_mean(str(path), tuple(known))}"
                )
        checked[model] = list(dict.fromkeys(paths))
    return checked


def blocks_of(layers: Iterable[str]) -> dict[str, None]:
    """Return, as keys of a dict, the paths of all blocks that a user may unfold: layer names and their dotted prefixes.

    Some of these paths are not blocks of the layers' `LayerTree`. These paths are allowed too, because filtering the
    layers on a page changes which paths are blocks.
    """
    return {path: None for layer in layers for path in paths_of(layer)}


def check_scale(scale: Mapping[str, Any], measures: Sequence[str]) -> dict[str, Any]:
    """Return a colour scale with all its fields if it is valid; otherwise raise TraitValueError.

    Args:
        scale: `mode`, and optionally `limits` and `palette`, as `Scale` describes them.
        measures: the names of the measures that may have limits. In `limits`, the key for the standard errors of a
            measure is the name of the measure followed by " ±".
    """
    if scale.get("mode") not in SCALES:
        raise TraitValueError(f"scale={scale!r}: mode is one of {', '.join(SCALES)}")
    palette = scale.get("palette") or PALETTES[0]
    if palette not in PALETTES:
        raise TraitValueError(f"scale={scale!r}: palette is one of {', '.join(PALETTES)}")
    limits = scale.get("limits") or {}
    if not isinstance(limits, Mapping):
        raise TraitValueError(f"scale={scale!r}: limits is a dict of measures with their (low, high)")
    for measure, ends in limits.items():
        check_measure(measure.removesuffix(" ±") if isinstance(measure, str) else measure, measures)
        if not _is_range(ends):
            raise TraitValueError(f"scale: the limits of {measure!r} are two numbers, the lower first, not {ends!r}")
    return {"mode": scale["mode"], "limits": dict(limits), "palette": palette}


def _is_range(ends: Any) -> bool:
    """Whether `ends` is a pair of finite numbers, the lower first."""
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        return False
    are_numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
    return are_numbers and -LARGEST <= ends[0] < ends[1] <= LARGEST


def check_threshold(threshold: float) -> float:
    if not 0 <= threshold < math.inf:
        raise TraitValueError(f"threshold={threshold}: give a standard error from 0 on")
    return threshold


def remaining(heatmap: Any, axes: Sequence[Axis], measures: Sequence[str]) -> dict[str, Any]:
    """Return the traits of a heatmap that must change when new models and measures are shown, as name -> new value.

    Selected and pinned pairs, unfolded blocks and colour limits are left out of the new values if they belong to
    models, layers or measures that are no longer shown.

    Args:
        heatmap: the heatmap with the present values of the traits.
        axes: the new models with their layers.
        measures: the names of the new measures and differences.
    """
    layers = {axis["model"]: axis["layers"] for axis in axes}
    blocks = {model: blocks_of(names) for model, names in layers.items()}

    def has(pair: Selection) -> bool:
        sides = ((pair["model_x"], pair["layer_x"]), (pair["model_y"], pair["layer_y"]))
        return all(layer in layers.get(model, ()) for model, layer in sides)

    def opened(paths: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        return {model: [one for one in paths[model] if one in blocks[model]] for model in paths if model in blocks}

    limits = heatmap.scale["limits"]
    kept = {
        "selection": heatmap.selection if heatmap.selection and has(heatmap.selection) else None,
        "pinned": [pair for pair in heatmap.pinned if has(pair)],
        "open_x": opened(heatmap.open_x),
        "open_y": opened(heatmap.open_y),
        "scale": heatmap.scale
        | {"limits": {name: limits[name] for name in limits if name.removesuffix(" ±") in measures}},
    }
    return {name: value for name, value in kept.items() if value != getattr(heatmap, name)}
