"""What a heatmap shows, as a file: a picture, a table, the result, or a page of its own."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from simwidget.result.layer_tree import LayerTree
from simwidget.result.similarity_result import SimilarityResult
from simwidget.widget.details import encode_detail
from simwidget.widget.page import page_of
from simwidget.widget.protocol import Scale, Selection
from simwidget.widget.sources import Source

PICTURES = ("png", "svg", "pdf")
MIMES = {"csv": "text/csv", "simw": "application/octet-stream", "html": "text/html"}
FORMATS = (*PICTURES, *MIMES)


@dataclass(frozen=True)
class Look:
    """What a heatmap shows of its numbers; each as the trait of that name."""

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
    def of(cls, heatmap: Any) -> "Look":
        """The present one of a heatmap."""
        return cls(**{one.name: getattr(heatmap, one.name) for one in fields(cls)})


def file_of(
    kind: str, source: Source, look: Look, *, dpi: float = 200, figsize: tuple[float, float] = (7.6, 6.6)
) -> bytes:
    """A file of one of the `FORMATS`.

    Raises:
        ValueError: another kind.
    """
    if kind not in FORMATS:
        raise ValueError(f"a heatmap makes no {kind!r} files, but {', '.join(FORMATS)}")
    result = source.snapshot()
    view = (result.models[look.view[0]], result.models[look.view[1]])
    if kind == "csv":
        table = io.StringIO(newline="")
        result.to_csv(table, view)
        return table.getvalue().encode("utf-8", "backslashreplace")
    file = io.BytesIO()
    if kind == "simw":
        result.save(file)
    elif kind == "html":
        pairs = [*([] if look.selection is None else [look.selection]), *look.pinned]
        details = [encode_detail(source, "page", 1, pair, inside=True) for pair in pairs]
        known = [(message, buffers) for message, buffers in details if message["measures"]]
        page = page_of(result, details=known, **(vars(look) | {"view": view}))
        file.write(page.encode())
    else:
        from matplotlib.figure import Figure

        figure = Figure(figsize=figsize, layout="constrained")
        result.plot(look.measure, figure.subplots(), view=view, **style_of(look, result, view))
        figure.savefig(file, format=kind, dpi=dpi)
    return file.getvalue()


def style_of(look: Look, result: SimilarityResult, view: tuple[str, str]) -> dict[str, Any]:
    """The keywords of `plots.heatmap` that give the heatmap's look."""
    errors = look.shows == "errors"
    diverging = result.kind(look.measure) == "difference" and not errors
    mode, limits = look.scale["mode"], look.scale["limits"]
    # the page keeps the frozen limits of errors under a name of their own
    frozen = limits.get(f"{look.measure} ±" if errors else look.measure) if mode == "range" else None
    low, high = frozen or (None, None)
    return {
        "stderr": errors,
        "threshold": look.threshold,
        "log": mode == "log" and not (errors or diverging),
        "vmin": low,
        "vmax": high,
        "cmap": None if diverging else look.scale["palette"],
        "open_x": _open(result, view[0], look.open_x),
        "open_y": _open(result, view[1], look.open_y),
        "selection": _held(look.selection, view),
    }


def _open(result: SimilarityResult, model: str, chosen: dict[str, list[str]]) -> list[str]:
    """The blocks of a model that stand open: those chosen, as far as they are there, else the usual ones."""
    tree = LayerTree(result.layers(model))
    return [path for path in chosen[model] if path in tree.blocks] if model in chosen else tree.default_open()


def _held(pair: Selection | None, view: tuple[str, str]) -> tuple[str, str] | None:
    """The held layers of the rows and of the columns, if these models are shown, whichever way round."""
    if pair is not None and (pair["model_x"], pair["model_y"]) == view:
        return pair["layer_x"], pair["layer_y"]
    if pair is not None and (pair["model_y"], pair["model_x"]) == view:
        return pair["layer_y"], pair["layer_x"]
    return None


def file_name(models: Sequence[str], kind: str) -> str:
    """A file's name from the models' names, with nothing in it that a file system minds.

    >>> file_name(["ResNet 18", "../<b>"], "csv")
    'ResNet_18-.._b_.csv'
    """
    name = re.sub(r"[^\w.-]+", "_", "-".join(models))[:80].lstrip(".")
    return f"{name or 'similarity'}.{kind}"
