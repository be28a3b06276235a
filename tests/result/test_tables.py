"""Results as tables: CSV, pandas and xarray."""

import csv
import io

import numpy as np
import pytest
import reference
import torch
from results import made

import simwidget as sw


@pytest.fixture(scope="module")
def result():
    models = {name: reference.mlp([6, 8, 4], seed=seed) for seed, name in enumerate(("a", "β <b>"))}
    batches = [torch.randn(64, 6, generator=torch.Generator().manual_seed(b)) for b in range(5)]
    return sw.compare(models, [*batches, torch.randn(64, 6)], device="cpu").run(False)


def test_tables(result):
    frame = result.to_dataframe()
    assert list(frame.columns) == [
        "layer_x",
        "layer_y",
        *(f"{m}{part}" for m in ("cka", "dcka", "cka-dcka") for part in ("", "_stderr")),
    ]
    cell = frame[(frame.layer_x == "0") & (frame.layer_y == "2")]
    assert cell.cka.item() == result.matrix("cka")[0, 1]
    data = result.to_xarray("yy")
    assert data.dcka.sel(layer_x="2", layer_y="0").item() == result.matrix("dcka", "yy")[1, 0]
    assert data.attrs == {"model_x": "β <b>", "model_y": "β <b>"}


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_has_every_number_to_its_last_digit(result, tmp_path):
    for view in ("xy", "yx", "yy", ("β <b>", "a")):
        result.to_csv(tmp_path / "r.csv", view)
        rows = read(tmp_path / "r.csv")
        x, y = (result.models[i] for i in result.positions(view))
        pairs = [(x, i, y, j) for i in result.layers(x) for j in result.layers(y)]
        assert [tuple(row[k] for k in ("model_x", "layer_x", "model_y", "layer_y")) for row in rows] == pairs
        for measure in ("cka", "dcka", "cka-dcka"):
            values = np.array([float(row[measure]) for row in rows])
            errors = np.array([float(row[f"{measure}_stderr"]) for row in rows])
            assert np.array_equal(values, result.matrix(measure, view).ravel())
            assert np.array_equal(errors, result.stderr(measure, view).ravel())
    assert len(rows[0]) == 4 + 2 * 3


def test_a_missing_number_is_empty(tmp_path):
    made(["a", "lost"], ["b"], missing=["lost"]).to_csv(tmp_path / "r.csv")
    first, second = read(tmp_path / "r.csv")
    assert float(first["cka"]) > 0
    assert {name: text for name, text in second.items() if not name.startswith(("model", "layer"))} == {
        f"{measure}{part}": "" for measure in ("cka", "dcka", "cka-dcka") for part in ("", "_stderr")
    }


def test_no_name_is_a_formula(tmp_path):
    odd = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "a=1", 'say "x", y', "two\nlines", "\ud800", "שכבה"]
    made(odd, odd, models=("=cmd|' /C calc'!A0", "-")).to_csv(tmp_path / "r.csv")
    rows = read(tmp_path / "r.csv")
    assert rows[0]["model_x"] == "'=cmd|' /C calc'!A0"
    assert rows[0]["model_y"] == "'-"
    written = [
        "'=1+1",
        "'+1",
        "'-1",
        "'@SUM(A1)",
        "'\t=1",
        "'\r=1",
        "a=1",
        'say "x", y',
        "two\nlines",
        "\\ud800",
        "שכבה",
    ]
    assert [row["layer_y"] for row in rows[: len(odd)]] == written
    assert [row["layer_x"] for row in rows[:: len(odd)]] == written


def test_a_table_goes_into_an_open_file(result, tmp_path):
    text = io.StringIO(newline="")
    result.to_csv(text, "xx")
    result.to_csv(tmp_path / "r.csv", "xx")
    assert text.getvalue().encode() == (tmp_path / "r.csv").read_bytes()


@pytest.mark.parametrize(
    "name",
    ["=1", " =1", "\n=1", "\r\n=1", "\xa0=1", "\u3000+1", "\u200b=1", "\ufeff@A1", "\u202e-1", "\x01=1", "＝1", "＋1",
     "－1", "＠A1", " ﹦1", "﹣1", "\tname", "\nname", "\rname"],
)  # fmt: skip
def test_what_a_spreadsheet_could_take_for_a_formula(name):
    file = io.StringIO(newline="")
    made([name], ["a"]).to_csv(file)
    _, row = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert row[1] == f"'{name}"


@pytest.mark.parametrize("name", ["a=1", "a -1", "1-1", "'=1", "−1", "(=1)", "", " ", "layer1.0", "名前"])
def test_other_names_are_written_as_they_are(name):
    file = io.StringIO(newline="")
    made([name], ["a"]).to_csv(file)
    _, row = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert row[1] == name
