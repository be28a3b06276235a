"""Writes a result to a file and reads it back. The file has the safetensors format: arrays and one JSON header."""

import re
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, BinaryIO

from numpy.typing import NDArray

from simwidget.files.atomic import open_for_writing
from simwidget.files.container import Container, container_bytes, open_container
from simwidget.files.fields import (
    check_names,
    check_strings,
    expect,
    get_bool_array,
    get_field,
    get_float_array,
    get_int,
    get_number,
    short_repr,
)
from simwidget.result.cells import Cells, MeasureInfo
from simwidget.result.similarity_result import SimilarityResult

FORMAT = 1
KINDS = ("similarity", "distance", "difference")
PARTS = ("values", "stderr", "dominated")
ARRAY_NAME = re.compile(rf"(0|[1-9][0-9]{{0,5}})/(0|[1-9][0-9]{{0,5}})/(0|[1-9][0-9]{{0,5}})/({'|'.join(PARTS)})")
"""Pattern of the names of arrays in a file: "measure/first model/second model/part".

The measure is a position in the header's "info", each model is a position in the header's "models", and the part is one
of `PARTS`.
"""


def write_result(result: SimilarityResult, path: str | PathLike[str] | BinaryIO) -> None:
    """Write a result to a file; `SimilarityResult.save` documents the format and the argument `path`."""
    arrays = {}
    measures = list(result._info)
    for (measure, i, j), cells in result._cells.items():
        for part in PARTS:
            arrays[f"{measures.index(measure)}/{i}/{j}/{part}"] = getattr(cells, part)
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
    content = container_bytes(header, arrays)
    with open_for_writing(path, "wb") as file:
        file.write(content)


def read_result(path: str | PathLike[str]) -> SimilarityResult:
    """Read a result from a file and check it; `SimilarityResult.load` documents the errors."""
    with open_container(path, "result") as container:
        return _result(container)


def _result(container: Container) -> SimilarityResult:
    header = container.header
    version = get_field(header, "format", int)
    expect(version == FORMAT, f"it has format {short_repr(version)}; this version reads format {FORMAT}")
    models = check_names(get_field(header, "models", list), "models")
    measures = check_names(get_field(header, "measures", list), "measures")
    expect(models, "it has no models")
    expect(measures, "it has no measures")
    layers = _check_by_model(get_field(header, "layers", list), models, "layers", check_names)
    info = _info(get_field(header, "info", dict), measures, dict(zip(models, layers, strict=True)))
    # older files have no kinds
    kinds: tuple[tuple[str, ...], ...] = ()
    if header.get("kinds", []) != []:
        kinds = _check_by_model(get_field(header, "kinds", list), models, "kinds", check_strings)
        expect(list(map(len, kinds)) == list(map(len, layers)), "kinds does not have one entry for each layer")
    max_bytes = 8 * len(PARTS) * len(info) * sum(map(len, layers)) ** 2
    return SimilarityResult(
        models=models,
        measures=measures,
        n_samples=get_int(header, "n_samples"),
        n_batches=get_int(header, "n_batches"),
        complete=get_field(header, "complete", bool),
        notes=check_strings(get_field(header, "notes", list), "notes"),
        provenance=get_field(header, "provenance", dict),
        _layers=layers,
        _info=info,
        _cells=_cells(container.read_arrays(max_bytes), tuple(info), tuple(map(len, layers))),
        _kinds=kinds,
    )


def _check_by_model(
    values: list[Any], models: Sequence[str], what: str, read: Callable[[Any, str], tuple[str, ...]]
) -> tuple[tuple[str, ...], ...]:
    expect(len(values) == len(models), f"{what} has entries for {len(values)} models, not for {len(models)}")
    return tuple(read(one, f"{what} of {short_repr(model)}") for one, model in zip(values, models, strict=True))


def _info(
    values: dict[str, Any], measures: Sequence[str], layers: Mapping[str, Sequence[str]]
) -> dict[str, MeasureInfo]:
    """Check the header's entry "info", and return the description of each measure and difference by name."""
    check_names(list(values), "info")
    layer_names = {model: frozenset(own) for model, own in layers.items()}
    measure_names = frozenset(measures)
    found = {}
    for name in values:
        where = f"info of {short_repr(name)}"
        info = get_field(values, name, dict, "info")
        title, kind = get_field(info, "title", str, where), get_field(info, "kind", str, where)
        check_names([title], where)
        expect(kind in KINDS, f"kind in {where} is {short_repr(kind)}, not one of {', '.join(KINDS)}")
        is_measure = name in measure_names
        problem = f"{where} has kind {kind!r}, but {short_repr(name)} is {'' if is_measure else 'not '}in measures"
        expect((kind == "difference") != is_measure, problem)
        reasons = get_field(info, "reasons", dict, where)
        for model in reasons:
            expect(model in layer_names, f"reasons in {where} name {short_repr(model)}, which is not one of its models")
            for layer in get_field(reasons, model, dict, f"reasons in {where}"):
                expect(
                    layer in layer_names[model],
                    f"reasons in {where} name {short_repr(layer)}, which is not a layer of {short_repr(model)}",
                )
                get_field(reasons[model], layer, str, f"reasons in {where}")
        found[name] = MeasureInfo(title, kind, get_number(info, "df", where), reasons)
    for name in measures:
        expect(name in found, f"info has no entry for the measure {short_repr(name)}")
    return found


def _cells(
    arrays: Mapping[str, NDArray[Any]], measures: Sequence[str], sizes: Sequence[int]
) -> dict[tuple[str, int, int], Cells]:
    """Check the arrays of a file, and return them as `Cells`.

    The keys are (name of the measure or difference, position of the first model, position of the second model). All
    measures and differences must have arrays for the same pairs of models. In all arrays of a pair, the same model must
    come first.
    """
    pairs = set()
    for name in arrays:
        expect(ARRAY_NAME.fullmatch(name), f"it has an array with the unknown name {short_repr(name)}")
        m, x, y = map(int, name.split("/")[:3])
        is_known = m < len(measures) and max(x, y) < len(sizes)
        expect(is_known, f"array {short_repr(name)} is of a measure or model that it does not have")
        expect(x == y or (y, x) not in pairs, f"array {short_repr(name)} is of a pair it also has in the other order")
        pairs.add((x, y))
    expect(pairs, "it has no arrays")
    found = {}
    for x, y in sorted(pairs):
        for m, measure in enumerate(measures):
            shape = sizes[x], sizes[y]
            values, stderr = (get_float_array(arrays, f"{m}/{x}/{y}/{part}", shape) for part in PARTS[:2])
            expect(not (stderr < 0).any(), f"array '{m}/{x}/{y}/{PARTS[1]}' has negative numbers")
            found[measure, x, y] = Cells(values, stderr, get_bool_array(arrays, f"{m}/{x}/{y}/{PARTS[2]}", shape))
    return found
