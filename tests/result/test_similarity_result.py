"""The value that leaves a run."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import reference
import torch
from results import made
from scipy import stats

import simwidget as sw


@pytest.fixture(scope="module")
def result():
    models = {name: reference.mlp([6, 8, 4], seed=seed) for seed, name in enumerate(("a", "β <b>"))}
    batches = [torch.randn(64, 6, generator=torch.Generator().manual_seed(b)) for b in range(5)]
    return sw.compare(models, [*batches, torch.randn(64, 6)], device="cpu").run(False)


def test_saved_and_loaded(result, tmp_path):
    result.save(tmp_path / "r.simw")
    again = sw.SimilarityResult.load(tmp_path / "r.simw")
    assert again.provenance == result.provenance
    for name in ("models", "measures", "n_samples", "n_batches", "complete", "notes"):
        assert getattr(again, name) == getattr(result, name)
    for view in result.views():
        for measure in result.measures:
            assert np.array_equal(again.matrix(measure, view), result.matrix(measure, view))
            assert np.array_equal(again.stderr(measure, view), result.stderr(measure, view))
            assert np.array_equal(again.dominated(measure, view), result.dominated(measure, view))
            assert again.interval(measure, view)[0] == pytest.approx(result.interval(measure, view)[0])
    assert again.layers("β <b>") == result.layers("β <b>")


def test_kinds_are_the_classes_of_the_layers_modules(result, tmp_path):
    assert result.kinds("a") == ("Linear", "Linear")
    result.save(tmp_path / "r.simw")
    assert sw.SimilarityResult.load(tmp_path / "r.simw").kinds("a") == ("Linear", "Linear")
    with pytest.raises(ValueError, match="no model 'c'"):
        result.kinds("c")


def test_files_of_before_there_were_kinds_are_read(result, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    result.save(tmp_path / "r.simw")
    with safe_open(tmp_path / "r.simw", framework="np") as file:
        header = json.loads(file.metadata()["simwidget"])
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert header.pop("kinds")
    save_file(arrays, tmp_path / "older.simw", {"simwidget": json.dumps(header)})
    older = sw.SimilarityResult.load(tmp_path / "older.simw")
    assert older.kinds("a") == ("", "")
    assert np.array_equal(older.matrix(), result.matrix())


def test_a_result_is_saved_into_an_open_file(result, tmp_path):
    with open(tmp_path / "open.simw", "wb") as file:
        result.save(file)
        file.write(b"")  # it stays open
    result.save(tmp_path / "r.simw")
    assert (tmp_path / "open.simw").read_bytes() == (tmp_path / "r.simw").read_bytes()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04pickle", b"\x02\0\0\0\0\0\0\0{}"])
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "r.simw").write_bytes(content)
    with pytest.raises(ValueError, match="not a simwidget result"):
        sw.SimilarityResult.load(tmp_path / "r.simw")


def test_intervals_are_those_of_student(result):
    low, high = result.interval("cka", level=0.9)
    half = stats.t.ppf(0.95, 5) * result.stderr("cka")  # six groups of equal weight
    assert np.allclose(high - result.matrix("cka"), half)
    assert np.allclose(result.matrix("cka") - low, half)
    with pytest.raises(ValueError, match="level=95"):
        result.interval("cka", level=95)


def test_arrays_cannot_be_written(result):
    with pytest.raises(ValueError, match="read-only"):
        result.matrix("cka")[0, 0] = 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.matrix("ckaa"), "no measure 'ckaa'. Did you mean 'cka'"),
        (lambda r: r.layers("c"), "no model 'c'"),
        (lambda r: r.matrix("cka", "xz"), "view='xz'"),
        (lambda r: r.matrix("cka", ("a", "b")), "no model 'b'"),
    ],
)
def test_unknown_names(result, call, message):
    with pytest.raises(ValueError, match=message):
        call(result)


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


def test_provenance_lets_a_colleague_repeat_the_run(result):
    about = result.provenance
    assert about["options"]["unbiased"] is True
    assert about["options"]["gram_batch"] == 64
    assert about["n_samples"] == 384
    assert about["torch"] == torch.__version__
    assert about["loader"] == {"loader": "list"}


def test_results_load_without_torch(result, tmp_path):
    result.save(tmp_path / "r.simw")
    code = (
        "import sys, simwidget as sw; r = sw.SimilarityResult.load(sys.argv[1]); r.plot('cka'); "
        "print(r.matrix('cka').shape, 'torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "r.simw"], capture_output=True, text=True, check=True,
        env={**__import__("os").environ, "MPLBACKEND": "Agg"},
    )  # fmt: skip
    assert run.stdout.strip() == "(2, 2) False"
