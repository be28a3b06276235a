"""A result as a file: all of it, and back again; or one view as a table. No torch here."""

import csv
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from simwidget.result.similarity_result import Cells, MeasureInfo, SimilarityResult, View
from simwidget.text.untrusted import (
    expect,
    field,
    flags,
    names,
    number,
    numbers,
    read_file,
    refusing,
    shown,
    texts,
    whole,
)

FORMAT = 1
FORMULA = ("=", "+", "-", "@")
"""What a formula begins with in a spreadsheet."""
KINDS = ("similarity", "distance", "difference")
PARTS = ("values", "stderr", "dominated")
ARRAY = re.compile(rf"(0|[1-9][0-9]{{0,5}})/(0|[1-9][0-9]{{0,5}})/(0|[1-9][0-9]{{0,5}})/({'|'.join(PARTS)})")
"""An array's name: the place of its measure in `info`, those of its models, and what it holds."""


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
    # half of a surrogate pair is no text: it is written as the six letters of its escape
    text = re.sub(r"[\ud800-\udfff]", lambda half: rf"\\u{ord(half[0]):x}", json.dumps(header, ensure_ascii=False))
    content = save(arrays, {"simwidget": text})
    with _opened(path, "wb") as file:
        file.write(content)


def read_result(path: str | PathLike[str]) -> SimilarityResult:
    """See `SimilarityResult.load`."""
    header, arrays = read_file(path, "result")
    with refusing(path, "result"):
        return _result(header, arrays)


def _result(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> SimilarityResult:
    version = field(header, "format", int)
    expect(version == FORMAT, f"it has format {shown(version)}; this version reads format {FORMAT}")
    models = names(field(header, "models", list), "models")
    measures = names(field(header, "measures", list), "measures")
    expect(models, "it has no models")
    expect(measures, "it has no measures")
    layers = _by_model(field(header, "layers", list), models, "layers", names)
    info = _info(field(header, "info", dict), measures, dict(zip(models, layers, strict=True)))
    # there are none in files of before there were kinds
    kinds: tuple[tuple[str, ...], ...] = ()
    if header.get("kinds", []) != []:
        kinds = _by_model(field(header, "kinds", list), models, "kinds", texts)
        expect(list(map(len, kinds)) == list(map(len, layers)), "kinds are not one for each layer")
    return SimilarityResult(
        models=models,
        measures=measures,
        n_samples=whole(header, "n_samples"),
        n_batches=whole(header, "n_batches"),
        complete=field(header, "complete", bool),
        notes=texts(field(header, "notes", list), "notes"),
        provenance=field(header, "provenance", dict),
        _layers=layers,
        _info=info,
        _cells=_cells(arrays, tuple(info), tuple(map(len, layers))),
        _kinds=kinds,
    )


def _by_model(
    given: list[Any], models: Sequence[str], what: str, read: Callable[[Any, str], tuple[str, ...]]
) -> tuple[tuple[str, ...], ...]:
    expect(len(given) == len(models), f"{what} are of {len(given)} models, not of {len(models)}")
    return tuple(read(one, f"{what} of {shown(model)}") for one, model in zip(given, models, strict=True))


def _info(
    given: dict[str, Any], measures: Sequence[str], layers: Mapping[str, Sequence[str]]
) -> dict[str, MeasureInfo]:
    """What is said of the measures, and of differences between them."""
    names(list(given), "info")
    known = {model: frozenset(own) for model, own in layers.items()}
    plain = frozenset(measures)
    found = {}
    for name in given:
        where = f"info of {shown(name)}"
        about = field(given, name, dict, "info")
        title, kind = field(about, "title", str, where), field(about, "kind", str, where)
        names([title], where)
        expect(kind in KINDS, f"kind in {where} is {shown(kind)}: none of {', '.join(KINDS)}")
        expect((kind == "difference") != (name in plain), f"{where} is neither a measure's nor a difference's")
        reasons = field(about, "reasons", dict, where)
        for model in reasons:
            expect(model in known, f"reasons in {where} are of {shown(model)}, which is no model of it")
            for layer in field(reasons, model, dict, f"reasons in {where}"):
                expect(layer in known[model], f"reasons in {where} are of {shown(layer)}, no layer of {shown(model)}")
                field(reasons[model], layer, str, f"reasons in {where}")
        found[name] = MeasureInfo(title, kind, number(about, "df", where), reasons)
    for name in measures:
        expect(name in found, f"info has nothing on the measure {shown(name)}")
    return found


def _cells(
    arrays: Mapping[str, NDArray[Any]], measures: Sequence[str], sizes: Sequence[int]
) -> dict[tuple[str, int, int], Cells]:
    """The arrays as cells: every measure of the same pairs of models, each pair one way round."""
    pairs = set()
    for name in arrays:
        expect(ARRAY.fullmatch(name), f"it has an array {shown(name)}")
        m, x, y = map(int, name.split("/")[:3])
        expect(m < len(measures) and max(x, y) < len(sizes), f"array {shown(name)} is of no measure or model of it")
        expect(x == y or (y, x) not in pairs, f"array {shown(name)} is of a pair that it has the other way round too")
        pairs.add((x, y))
    expect(pairs, "it has no arrays")
    found = {}
    for x, y in sorted(pairs):
        for m, measure in enumerate(measures):
            shape = sizes[x], sizes[y]
            values, stderr = (numbers(arrays, f"{m}/{x}/{y}/{part}", shape) for part in PARTS[:2])
            expect(not (stderr < 0).any(), f"array '{m}/{x}/{y}/{PARTS[1]}' has negative numbers")
            found[measure, x, y] = Cells(values, stderr, flags(arrays, f"{m}/{x}/{y}/{PARTS[2]}", shape))
    return found


def write_csv(result: SimilarityResult, path: str | PathLike[str] | TextIO, view: View) -> None:
    """See `SimilarityResult.to_csv`."""
    model_x, model_y = (result.models[position] for position in result.positions(view))
    columns = {}
    for measure in (*result.measures, *result.differences):
        columns[measure] = result.matrix(measure, view).ravel().tolist()
        columns[f"{measure}_stderr"] = result.stderr(measure, view).ravel().tolist()
    rows = zip(*columns.values(), strict=True)
    with _opened(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model_x", "layer_x", "model_y", "layer_y", *map(_defused, columns)])
        for layer_x in result.layers(model_x):
            for layer_y in result.layers(model_y):
                cell = map(_defused, (model_x, layer_x, model_y, layer_y))
                writer.writerow([*cell, *("" if math.isnan(value) else repr(value) for value in next(rows))])


def _defused(name: str) -> str:
    """A name that no spreadsheet takes for a formula, and that no program ends at a NUL."""
    name = name.replace("\0", "\\x00")
    # spreadsheets pass over spaces and letters that are not seen, and some take full-width signs for the usual ones
    first = next((letter for letter in name if letter.isprintable() and not letter.isspace()), "")
    formula = unicodedata.normalize("NFKC", first).startswith(FORMULA) or name.startswith(("\t", "\r", "\n"))
    return f"'{name}" if formula else name


def _opened(path: Any, mode: str, **how: Any) -> AbstractContextManager[Any]:
    """The file at a path, or one that is open already and stays so."""
    return nullcontext(path) if hasattr(path, "write") else open(path, mode, **how)
