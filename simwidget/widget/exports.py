"""Exports a heatmap to files: pictures, tables, results and HTML pages."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from simwidget.result.layer_tree import LayerTree
from simwidget.result.similarity_result import SimilarityResult
from simwidget.widget.html_page import page_of
from simwidget.widget.pair_details import encode_detail
from simwidget.widget.protocol import Fetched, Scale, Selection
from simwidget.widget.sources import Source

PICTURES = ("png", "svg", "pdf")
MIMES = {"csv": "text/csv", "simw": "application/octet-stream", "html": "text/html"}
FORMATS = (*PICTURES, *MIMES)


@dataclass(frozen=True)
class Appearance:
    """The values of the traits that determine what a heatmap shows. Each field has the name of its trait."""

    measure: str
    view: tuple[int, int]
    shows: str
    selection: Selection | None
    pinned: Sequence[Selection]
    open_x: dict[str, list[str]]
    open_y: dict[str, list[str]]
    scale: Scale
    threshold: float

    @classmethod
    def of(cls, heatmap: Any) -> "Appearance":
        """Return the present appearance of a heatmap."""
        return cls(**{one.name: getattr(heatmap, one.name) for one in fields(cls)})


def file_of(
    kind: str, source: Source, appearance: Appearance, *, dpi: float = 200, figsize: tuple[float, float] = (7.6, 6.6)
) -> bytes:
    """Export a heatmap: return the content of a file in the format `kind`.

    Args:
        kind: the format, one of `FORMATS`, such as "png" or "csv".
        source: the run or result.
        appearance: the values of the heatmap's traits, such as measure and view.
        dpi: dots per inch of a picture.
        figsize: width and height of a picture in inches.

    Raises:
        ValueError: `kind` is not one of `FORMATS`.
    """
    if kind not in FORMATS:
        raise ValueError(f"a heatmap makes no {kind!r} files, but {', '.join(FORMATS)}")
    result = source.snapshot()
    view = (result.models[appearance.view[0]], result.models[appearance.view[1]])
    if kind == "csv":
        table = io.StringIO(newline="")
        result.to_csv(table, view)
        return table.getvalue().encode("utf-8", "backslashreplace")
    file = io.BytesIO()
    if kind == "simw":
        result.save(file)
    elif kind == "html":
        pairs = [*([] if appearance.selection is None else [appearance.selection]), *appearance.pinned]
        details = [encode_detail(source, "page", 1, pair, inside=True) for pair in pairs]
        known = [(message, buffers) for message, buffers in details if message["measures"]]
        page = page_of(result, details=known, **(vars(appearance) | {"view": view}))
        file.write(page.encode())
    else:
        from matplotlib.figure import Figure

        figure = Figure(figsize=figsize, layout="constrained")
        result.plot(appearance.measure, figure.subplots(), view=view, **style_of(appearance, result, view))
        figure.savefig(file, format=kind, dpi=dpi)
    return file.getvalue()


def fetch(kind: str, source: Source, appearance: Appearance, models: Sequence[str]) -> tuple[Fetched, list[bytes]]:
    """Return the answer to a browser page that asks for a file: a message, and the list of the message's buffers.

    The list contains one buffer, the content of the file. If the file cannot be made, the list is empty and the message
    has the error's text. The caller must set the fields `client` and `id` of the message.

    Args:
        kind: the format, one of `MIMES`.
        source: the run or result.
        appearance: the values of the heatmap's traits.
        models: the names of the models. The file name is made from these names.
    """
    fetched: Fetched = {"type": "fetched", "client": "", "id": 0, "name": "", "mime": "", "error": None}
    try:
        if kind not in MIMES:
            raise ValueError(f"this heatmap sends no {kind!r} files")
        content = file_of(kind, source, appearance)
    except Exception as error:  # the page must show any error
        return {**fetched, "error": str(error) or type(error).__name__}, []
    return {**fetched, "name": file_name(models, kind), "mime": MIMES[kind]}, [content]


def style_of(appearance: Appearance, result: SimilarityResult, view: tuple[str, str]) -> dict[str, Any]:
    """Return keyword arguments that make the picture drawn by `SimilarityResult.plot` look like the heatmap."""
    errors = appearance.shows == "errors"
    diverging = result.kind(appearance.measure) == "difference" and not errors
    mode, limits = appearance.scale["mode"], appearance.scale["limits"]
    # the front end keeps the limits of the errors under a key with ±
    frozen = limits.get(f"{appearance.measure} ±" if errors else appearance.measure) if mode == "range" else None
    low, high = frozen or (None, None)
    return {
        "stderr": errors,
        "threshold": appearance.threshold,
        "log": mode == "log" and not (errors or diverging),
        "vmin": low,
        "vmax": high,
        "cmap": None if diverging else appearance.scale["palette"],
        "open_x": _open(result, view[0], appearance.open_x),
        "open_y": _open(result, view[1], appearance.open_y),
        "selection": _selected(appearance.selection, view),
    }


def _open(result: SimilarityResult, model: str, chosen: dict[str, list[str]]) -> list[str]:
    """Return the paths of the unfolded blocks (groups of layers) of a model.

    If `chosen` has an entry for the model, return the paths in this entry that are blocks of the result. Otherwise,
    return the blocks that are unfolded by default.
    """
    tree = LayerTree(result.layers(model))
    return [path for path in chosen[model] if path in tree.blocks] if model in chosen else tree.default_open()


def _selected(pair: Selection | None, view: tuple[str, str]) -> tuple[str, str] | None:
    """Return the names of the two selected layers, starting with the layer of the view's first model.

    Return None if no layers are selected, or if the models of the selected layers are not the two models of the view.
    """
    if pair is not None and (pair["model_x"], pair["model_y"]) == view:
        return pair["layer_x"], pair["layer_y"]
    if pair is not None and (pair["model_y"], pair["model_x"]) == view:
        return pair["layer_y"], pair["layer_x"]
    return None


def file_name(models: Sequence[str], kind: str) -> str:
    """Return a file name with the ending `kind`. The part before the ending is made from the models' names.

    The names are joined by "-". Any sequence of characters other than letters, digits, "_", "." and "-" is replaced by
    a single "_". The result is cut to 80 characters, and dots at the start are removed.

    >>> file_name(["ResNet 18", "../<b>"], "csv")
    'ResNet_18-.._b_.csv'
    """
    name = re.sub(r"[^\w.-]+", "_", "-".join(models))[:80].lstrip(".")
    return f"{name or 'similarity'}.{kind}"
