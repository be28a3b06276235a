"""Tables of a result for one pair of models: a CSV file, a pandas DataFrame or an xarray Dataset."""

import csv
import math
import unicodedata
from os import PathLike
from typing import Any, TextIO

from simwidget.files.atomic import open_for_writing
from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View

FORMULA_STARTS = ("=", "+", "-", "@")
"""The characters with which a formula of a spreadsheet may begin."""


def to_dataframe(result: SimilarityResult, view: View) -> Any:
    """Return a pandas DataFrame of one pair of models; `SimilarityResult.to_dataframe` documents the columns."""
    import pandas as pd

    x, y = result.positions(view)
    index = pd.MultiIndex.from_product([result._layers[x], result._layers[y]], names=["layer_x", "layer_y"])
    columns: dict[str, Any] = {}
    for measure in result._info:
        columns[measure] = result.matrix(measure, view).ravel()
        columns[f"{measure}_stderr"] = result.stderr(measure, view).ravel()
    return pd.DataFrame(columns, index=index).reset_index()


def to_xarray(result: SimilarityResult, view: View) -> Any:
    """Return an xarray Dataset of one pair of models; `SimilarityResult.to_xarray` documents the variables."""
    import xarray as xr

    x, y = result.positions(view)
    dims = ("layer_x", "layer_y")
    variables: dict[str, Any] = {}
    for measure in result._info:
        about = {"long_name": result.title(measure), "kind": result.kind(measure)}
        variables[measure] = (dims, result.matrix(measure, view), about)
        variables[f"{measure}_stderr"] = (dims, result.stderr(measure, view))
    coords = {"layer_x": list(result._layers[x]), "layer_y": list(result._layers[y])}
    return xr.Dataset(variables, coords, {"model_x": result.models[x], "model_y": result.models[y]})


def write_csv(result: SimilarityResult, path: str | PathLike[str] | TextIO, view: View) -> None:
    """Write a CSV file of one pair of models; `SimilarityResult.to_csv` documents the columns."""
    model_x, model_y = (result.models[position] for position in result.positions(view))
    columns = {}
    for measure in (*result.measures, *result.differences):
        columns[measure] = result.matrix(measure, view).ravel().tolist()
        columns[f"{measure}_stderr"] = result.stderr(measure, view).ravel().tolist()
    rows = zip(*columns.values(), strict=True)
    with open_for_writing(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model_x", "layer_x", "model_y", "layer_y", *map(_escape_formula, columns)])
        for layer_x in result.layers(model_x):
            for layer_y in result.layers(model_y):
                cell = map(_escape_formula, (model_x, layer_x, model_y, layer_y))
                writer.writerow([*cell, *("" if math.isnan(value) else repr(value) for value in next(rows))])


def _escape_formula(name: str) -> str:
    """Return a name in a form that no spreadsheet reads as a formula.

    An apostrophe is put before a name that could be read as a formula. NUL characters are escaped in all names.
    """
    name = name.replace("\0", "\\x00")
    # spreadsheets skip leading spaces and invisible characters, and some treat full-width signs like ASCII ones
    first = next((letter for letter in name if letter.isprintable() and not letter.isspace()), "")
    formula = unicodedata.normalize("NFKC", first).startswith(FORMULA_STARTS) or name.startswith(("\t", "\r", "\n"))
    return f"'{name}" if formula else name
