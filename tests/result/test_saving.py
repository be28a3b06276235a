"""Result files from anywhere: what is wrong with one is said, and nothing else happens."""

import json
import os
import re

import numpy as np
import pytest
import torch
from results import made, seal
from safetensors import safe_open
from safetensors.torch import save_file as save_tensors

import simwidget as sw
from simwidget.files import container


@pytest.fixture
def parts(tmp_path):
    """The header and the arrays of a valid file."""
    made(["a", "b", "c"], ["d", "e"], kinds=(("A", "B", "C"), ("D", "E"))).save(tmp_path / "valid.simw")
    with safe_open(tmp_path / "valid.simw", framework="np") as file:
        header = json.loads(file.metadata()["simwidget"])
        return header, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def refusal(path):
    """Why the file is refused, which the message says after its name."""
    with pytest.raises(ValueError, match="is not a simwidget result: ") as caught:
        sw.SimilarityResult.load(path)
    start = f"{path} is not a simwidget result: "
    assert str(caught.value).startswith(start)
    assert len(str(caught.value)) < len(start) + 300
    return str(caught.value).removeprefix(start)


def refusal_of(header, arrays, tmp_path):
    seal(arrays, tmp_path / "r.simw", header)
    return refusal(tmp_path / "r.simw")


def test_the_valid_file_is_read(parts, tmp_path):
    header, arrays = parts
    seal(arrays, tmp_path / "r.simw", header)
    again = sw.SimilarityResult.load(tmp_path / "r.simw")
    assert again.kinds("y") == ("D", "E")
    assert again.matrix("cka-dcka").shape == (3, 2)


MISSING = object()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", 2, "it has format 2; this version reads format 1"),
        ("format", True, "format in its header is True, not a whole number"),
        ("format", MISSING, "its header has no 'format'"),
        ("models", "xy", "models in its header is 'xy', not a list"),
        ("models", [], "it has no models"),
        ("models", ["x", 1], "models contains 1, which is not text"),
        ("models", ["x", "x"], "models contains 'x' twice"),
        ("models", ["x", "y", "z"], "layers has entries for 2 models, not for 3"),
        ("models.0", "x" * 1001, "models has a name of 1,001 characters"),
        ("models.0", "\ud800", r"its header contains '\ud800', which cannot be encoded as text"),
        ("measures", [], "it has no measures"),
        ("measures", ["cka", "rsa"], "info of 'dcka' has kind 'similarity', but 'dcka' is not in measures"),
        ("measures", ["cka", "dcka", "rsa"], "info has no entry for the measure 'rsa'"),
        ("layers", {}, "layers in its header is {}, not a list"),
        ("layers.0", "abc", "layers of 'x' is 'abc', not a list of text"),
        ("layers.0", ["a", "b", "b"], "layers of 'x' contains 'b' twice"),
        ("layers.0", ["a", "b", "c", "d"], "kinds does not have one entry for each layer"),
        ("layers", [["d", "e"], ["a", "b", "c"]], "kinds does not have one entry for each layer"),
        ("kinds", 3, "kinds in its header is 3, not a list"),
        ("kinds", [["A", "B", "C"]], "kinds has entries for 1 models, not for 2"),
        ("kinds.1", ["D"], "kinds does not have one entry for each layer"),
        ("kinds.1", ["D", None], "kinds of 'y' contains None, which is not text"),
        ("info", [], "info in its header is [], not an object"),
        ("info.cka", "CKA", "cka in info is 'CKA', not an object"),
        ("info.cka.title", None, "title in info of 'cka' is None, not text"),
        ("info.cka.title", "x" * 1001, "info of 'cka' has a name of 1,001 characters"),
        (
            "info.cka.kind",
            "nearness",
            "kind in info of 'cka' is 'nearness', not one of similarity, distance, difference",
        ),
        ("info.cka.kind", "difference", "info of 'cka' has kind 'difference', but 'cka' is in measures"),
        ("info.cka.kind", ["similarity"], "kind in info of 'cka' is ['similarity'], not text"),
        ("info.cka.df", "15", "df in info of 'cka' is '15', not a number"),
        ("info.cka.df", float("inf"), "df in info of 'cka' is inf, not a number, or too large"),
        ("info.cka.df", 10**90, "df in info of 'cka' is 1000"),
        ("info.cka.df", 10**400, "its header has a number with 401 digits, more than 100"),
        ("info.cka.df", MISSING, "info of 'cka' has no 'df'"),
        ("info.cka.reasons", [], "reasons in info of 'cka' is [], not an object"),
        ("info.cka.reasons", {"z": {}}, "reasons in info of 'cka' name 'z', which is not one of its models"),
        ("info.cka.reasons", {"x": {"z": ""}}, "reasons in info of 'cka' name 'z', which is not a layer of 'x'"),
        ("info.cka.reasons", {"x": {"a": 1}}, "a in reasons in info of 'cka' is 1, not text"),
        ("n_samples", -1, "n_samples in its header is -1, not a whole number from 0 to 9007199254740992"),
        ("n_samples", 1.0, "n_samples in its header is 1.0, not a whole number"),
        (
            "n_samples",
            2**60,
            "n_samples in its header is 1152921504606846976, not a whole number from 0 to 9007199254740992",
        ),
        ("n_batches", True, "n_batches in its header is True, not a whole number"),
        ("n_batches", float("nan"), "n_batches in its header is nan, not a whole number"),
        ("complete", 1, "complete in its header is 1, not true or false"),
        ("notes", "a note", "notes in its header is 'a note', not a list"),
        ("notes", [["a note"]], "notes contains ['a note'], which is not text"),
        ("provenance", {"seconds": -(10**100)}, "its header has a number with 102 digits"),
        ("provenance", [], "provenance in its header is [], not an object"),
        ("provenance", {"a": {"b": "\udfff"}}, r"its header contains '\udfff', which cannot be encoded as text"),
        ("provenance", {"\udc00": 1}, r"its header contains '\udc00', which cannot be encoded as text"),
    ],
)
def test_a_header_with_something_wrong(parts, path, value, message, tmp_path):
    header, arrays = parts
    *above, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    inside = header
    for step in above:
        inside = inside[step]
    if value is MISSING:
        del inside[last]
    else:
        inside[last] = value
    assert message in refusal_of(header, arrays, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its header is not JSON: Expecting value"),
        ("[]", "its header is not a JSON object"),
        ("null", "its header is not a JSON object"),
        ("{", "its header is not JSON"),
        ("{'format': 1}", "its header is not JSON"),
        ('{"format": 1} {}', "its header is not JSON: Extra data"),
        ('{"format": ' + "9" * 5000 + "}", "its header has a number with 5,000 digits"),
        ('{"format": 1, "format": 1}', "its header has the key 'format' twice"),
        ('{"a": [{"b": 1, "b": 2}]}', "its header has the key 'b' twice"),
        ('{"a": ' + "[" * 40 + "]" * 40 + "}", "its header is nested too deeply"),
        ('{"a": ' + "[" * 10**5 + "]" * 10**5 + "}", "its header is nested too deeply"),
        ('{"a":' * 10**5 + "1" + "}" * 10**5, "its header is nested too deeply"),
        ('{"a": [' + "1," * 2_000_000 + "1]}", "its header has more than 2,000,000 values"),
    ],
)
def test_a_header_that_is_none(parts, text, message, tmp_path):
    assert message in refusal_of(text, parts[1], tmp_path)


def changed(name, change):
    def make(arrays):
        arrays[name] = change(arrays[name])

    return make


def renamed(old, new):
    def make(arrays):
        arrays[new] = arrays.pop(old)

    return make


FIRST = "0/0/0/values"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.clear(), "it has no arrays"),
        (lambda arrays: arrays.pop(FIRST), "array '0/0/0/values' is missing"),
        (lambda arrays: arrays.pop("2/1/1/dominated"), "array '2/1/1/dominated' is missing"),
        (renamed(FIRST, "0/0/0/value"), "it has an array with the unknown name '0/0/0/value'"),
        (renamed(FIRST, "0/0/values"), "it has an array with the unknown name '0/0/values'"),
        (renamed(FIRST, "00/0/0/values"), "it has an array with the unknown name '00/0/0/values'"),
        (renamed(FIRST, "٠/0/0/values"), "it has an array with the unknown name '٠/0/0/values'"),
        (renamed(FIRST, "-1/0/0/values"), "it has an array with the unknown name '-1/0/0/values'"),
        (renamed(FIRST, "0/0/0/values\n"), r"it has an array with the unknown name '0/0/0/values\n'"),
        (renamed(FIRST, "9" * 5000 + "/0/0/values"), "it has an array with the unknown name '99"),
        (renamed(FIRST, "3/0/0/values"), "array '3/0/0/values' is of a measure or model that it does not have"),
        (renamed(FIRST, "0/0/2/values"), "array '0/0/2/values' is of a measure or model that it does not have"),
        (renamed("0/0/1/values", "0/1/0/values"), "is of a pair it also has in the other order"),
        (changed(FIRST, lambda a: a[:2]), "array '0/0/0/values' is float64 (2, 3), not floating-point numbers (3, 3)"),
        (changed("0/0/1/values", lambda a: a.T.copy()), "array '0/0/1/values' is float64 (2, 3), not"),
        (changed(FIRST, lambda a: a.astype(int)), "array '0/0/0/values' is int64 (3, 3), not floating-point numbers"),
        (changed("0/0/0/dominated", lambda a: a.astype(float)), "is float64 (3, 3), not booleans (3, 3)"),
        (changed(FIRST, lambda a: a + np.inf), "array '0/0/0/values' has infinite values or values beyond 1e+30"),
        (
            changed("0/0/0/stderr", lambda a: a - 1e300),
            "array '0/0/0/stderr' has infinite values or values beyond 1e+30",
        ),
        (changed("0/0/0/stderr", lambda a: a - 1), "array '0/0/0/stderr' has negative numbers"),
    ],
)
def test_arrays_with_something_wrong(parts, change, message, tmp_path):
    header, arrays = parts
    change(arrays)
    assert message in refusal_of(header, arrays, tmp_path)


def test_single_precision_is_read_as_double(parts, tmp_path):
    header, arrays = parts
    arrays[FIRST] = arrays[FIRST].astype(np.float32)
    seal(arrays, tmp_path / "r.simw", header)
    found = sw.SimilarityResult.load(tmp_path / "r.simw").matrix("cka", "xx")
    assert found.dtype == np.float64
    assert np.array_equal(found, arrays[FIRST])


def test_truth_values_are_nothing_else(tmp_path):
    made(["a", "b"], ["c"]).save(tmp_path / "valid.simw")
    with safe_open(tmp_path / "valid.simw", framework="np") as file:
        header = json.loads(file.metadata()["simwidget"])
        arrays = {key: file.get_tensor(key).copy() for key in file.keys()}  # noqa: SIM118
    arrays["1/0/0/dominated"].view(np.uint8)[0, 0] = 2
    seal(arrays, tmp_path / "r.simw", header)
    assert refusal(tmp_path / "r.simw") == "array '1/0/0/dominated' has bytes other than 0 and 1"


def built(outer, data=b""):
    head = outer if isinstance(outer, bytes) else json.dumps(outer).encode()
    return len(head).to_bytes(8, "little") + head + data


TENSOR = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is too short"),
        (b"1234567", "it is too short"),
        (b"12345678", "it ends before the end of its header"),
        (b"\xff" * 8 + b"{}", "it ends before the end of its header"),
        (built({}), "it has no simwidget header"),
        (built({"__metadata__": {"format": "pt"}}), "it has no simwidget header"),
        (built({"__metadata__": {"simwidget": 3}}), ""),
        (built(b"{"), ""),
        (built(b"\xff\xfe"), ""),
        (built(b"[" * 10**5), ""),
        (built({"__metadata__": {"simwidget": "{}"}, "a": TENSOR}), ""),
        (built({"__metadata__": {"simwidget": "{}"}, "a": TENSOR}, b"\0" * 9), ""),
        (built({"__metadata__": {"simwidget": "{}"}, "a": TENSOR | {"shape": [2**63, 2]}}, b"\0" * 8), ""),
        (built({"__metadata__": {"simwidget": "{}"}, "a": TENSOR, "b": TENSOR}, b"\0" * 8), ""),
    ],
)
def test_files_that_are_no_safetensors_of_ours(content, message, tmp_path):
    (tmp_path / "r.simw").write_bytes(content)
    assert message in refusal(tmp_path / "r.simw")


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_numbers_that_numpy_has_not(dtype, parts, tmp_path):
    tensors = {FIRST: torch.zeros(3, 3, dtype=getattr(torch, dtype))}
    save_tensors(tensors, tmp_path / "r.simw", {"simwidget": json.dumps(parts[0])})
    refusal(tmp_path / "r.simw")


def test_a_large_header_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "MAX_HEADER_BYTES", 1000)
    made(["a"], ["b"]).save(tmp_path / "r.simw")
    assert re.fullmatch(r"its header has [\d,]{5} bytes, more than 1,000", refusal(tmp_path / "r.simw"))


def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "it is not a regular file"
    with pytest.raises(IsADirectoryError):
        sw.SimilarityResult.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        sw.SimilarityResult.load(tmp_path / "nowhere")


def test_half_a_surrogate_pair_is_saved_as_its_escape(tmp_path):
    made(["a\ud800", "b🙂"], ["\udfff"], models=("x\udc00", "y")).save(tmp_path / "r.simw")
    again = sw.SimilarityResult.load(tmp_path / "r.simw")
    assert again.models == (r"x\udc00", "y")
    assert again.layers_x == (r"a\ud800", "b🙂")
    assert again.layers_y == (r"\udfff",)
