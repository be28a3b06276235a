"""A result as a file: all of it, and back again; or one view as a table. No torch here."""

import csv
import json
import math
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from typing import Any, BinaryIO, TextIO

import numpy as np

from simwidget.result import Cells, MeasureInfo, SimilarityResult, View

FORMAT = 1
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to a spreadsheet."""
PARTS = ("values", "stderr", "dominated")


def write_result(result: SimilarityResult, path: str | PathLike[str] | BinaryIO) -> None:
    """See `SimilarityResult.save`."""
    from safetensors.numpy import save

    arrays = {}
    shown = list(result._info)
    for (measure, i, j), cells in result._cells.items():
        for part in PARTS:
            arrays[f"{shown.index(measure)}/{i}/{j}/{part}"] = np.ascontiguousarray(getattr(cells, part))
    header = {
        "format": FORMAT,
        "models": result.models,
        "measures": result.measures,
        "layers": result._layers,
        "kinds": result._kinds,
        "info": {name: vars(info) for name, info in result._info.items()},
        "n_samples": result.n_samples,
        "n_batches": result.n_batches,
        "complete": result.complete,
        "notes": result.notes,
        "provenance": result.provenance,
    }
    content = save(arrays, {"simwidget": json.dumps(header)})
    with _opened(path, "wb") as file:
        file.write(content)


def read_result(path: str | PathLike[str]) -> SimilarityResult:
    """See `SimilarityResult.load`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {})["simwidget"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, KeyError, json.JSONDecodeError) as problem:
        raise ValueError(f"{path} is not a simwidget result") from problem
    if header.get("format") != FORMAT:
        raise ValueError(f"{path} has result format {header.get('format')}; this version reads format {FORMAT}")
    shown = tuple(header["info"])
    cells = {}
    for key in arrays:
        m, i, j, part = key.split("/")
        if part == PARTS[0]:
            cells[shown[int(m)], int(i), int(j)] = Cells(*(arrays[f"{m}/{i}/{j}/{name}"] for name in PARTS))
    return SimilarityResult(
        models=tuple(header["models"]),
        measures=tuple(header["measures"]),
        n_samples=header["n_samples"],
        n_batches=header["n_batches"],
        complete=header["complete"],
        notes=tuple(header["notes"]),
        provenance=header["provenance"],
        _layers=tuple(map(tuple, header["layers"])),
        _info={name: MeasureInfo(**info) for name, info in header["info"].items()},
        _cells=cells,
        _kinds=tuple(map(tuple, header.get("kinds", ()))),
    )


def write_csv(result: SimilarityResult, path: str | PathLike[str] | TextIO, view: View) -> None:
    """See `SimilarityResult.to_csv`."""
    model_x, model_y = (result.models[position] for position in result.positions(view))
    columns = {}
    for measure in (*result.measures, *result.differences):
        columns[measure] = result.matrix(measure, view).ravel().tolist()
        columns[f"{measure}_stderr"] = result.stderr(measure, view).ravel().tolist()
    numbers = zip(*columns.values(), strict=True)
    with _opened(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model_x", "layer_x", "model_y", "layer_y", *columns])
        for layer_x in result.layers(model_x):
            for layer_y in result.layers(model_y):
                names = map(_defused, (model_x, layer_x, model_y, layer_y))
                writer.writerow([*names, *("" if math.isnan(number) else repr(number) for number in next(numbers))])


def _defused(name: str) -> str:
    return f"'{name}" if name.startswith(FORMULA) else name


def _opened(path: Any, mode: str, **how: Any) -> AbstractContextManager[Any]:
    """The file at a path, or one that is open already and stays so."""
    return nullcontext(path) if hasattr(path, "write") else open(path, mode, **how)
