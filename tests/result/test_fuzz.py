"""Damaged and hostile files, in small numbers; `python -m benchmarks.fuzz` has more."""

import random

import pytest

from benchmarks import changes, fuzz

READERS = """
import ctypes
from benchmarks import fuzz

fuzz.SECONDS = 1

def make(path):
    fuzz.make_result(path)

def load(path):
    if path.name == "3":
        raise KeyError("models")
    if path.name == "5":
        ctypes.string_at(0)
    if path.name == "7":
        while True:
            pass
    if path.name == "9":
        return bytearray(2 * fuzz.MEMORY)
    if path.name == "11":
        raise ValueError("invalid literal for int()")
    if path.name == "13":
        return fuzz.load_result(path.parent / "valid")
    raise ValueError(f"{path} is not a simwidget result: it is too short")

def use(result):
    raise TypeError("unhashable type")

BAD = fuzz.Kind("result", make, lambda path: path if path.name == "valid" else load(path),
                lambda value: b"" if not hasattr(value, "models") else use(value))
"""


def test_files_of_every_kind_come_out_well():
    for place in fuzz.KINDS:
        counts, bad = fuzz.fuzz(place, 60, 0)
        assert not bad
        assert counts[fuzz.REFUSED] > 20
        assert counts[fuzz.OTHER] > 2 if place.endswith("RESULT") else counts[fuzz.SAME] > 2
        assert counts[fuzz.SILENT] == 0
        assert sum(counts.values()) == 60


def test_what_comes_out_badly_is_found_and_put_down_to_its_file(tmp_path, monkeypatch):
    (tmp_path / "readers.py").write_text(READERS)
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    counts, bad = fuzz.fuzz("readers:BAD", 15, 0, keep=tmp_path / "kept")
    found = {one.split(" of seed")[0]: one.rpartition("\n    ")[2] for one in bad}
    assert found == {
        "file 3": "KeyError when it is loaded: 'models'",
        "file 5": "ended by SIGSEGV",
        "file 7": "over 1 s",
        "file 9": "MemoryError when it is loaded: ",
        "file 11": "ValueError that says too little or too much: invalid literal for int()",
        "file 13": "TypeError when it is used: unhashable type",
    }
    assert counts == {fuzz.REFUSED: 9, "anything else": 6}
    assert len(list((tmp_path / "kept").iterdir())) == 6


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "valid"
    fuzz.make_result(path)
    return path.read_bytes()


@pytest.mark.parametrize("change", sorted(set(changes.CHANGES), key=lambda change: change.__name__))
def test_every_change_changes_something(change, content):
    rng = random.Random(0)
    changed = [change(content, rng)[0] for _ in range(20)]
    assert len(set(changed) - {content}) > 8
