"""The value that leaves a run."""

import json
import subprocess
import sys

import numpy as np
import pytest
import reference
import torch
from results import seal
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

    result.save(tmp_path / "r.simw")
    with safe_open(tmp_path / "r.simw", framework="np") as file:
        header = json.loads(file.metadata()["simwidget"])
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert header.pop("kinds")
    seal(arrays, tmp_path / "older.simw", header)
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
