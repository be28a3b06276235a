"""A file is what was written or it is refused, and it is refused before much of it is read."""

import json
import os
import random
import tracemalloc

import numpy as np
import pytest
import torch
from checkpoints import LOADERS, mlp
from results import made
from safetensors.numpy import save

import simwidget as sw
from simwidget.files.atomic import replace_file
from simwidget.files.container import container_bytes, open_container
from simwidget.run.checkpoint import read_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A result and a checkpoint, and what reads them."""
    folder = tmp_path_factory.mktemp("files")
    made(["a", "b", "c"], ["d", "e"]).save(folder / "result")
    sw.compare({"a": mlp(0)}, LOADERS["a list"](), device="cpu", checkpoint=folder / "checkpoint").run(False)
    return {
        "result": (folder / "result", sw.SimilarityResult.load),
        "checkpoint": (folder / "checkpoint", read_checkpoint),
    }


@pytest.mark.parametrize("kind", ["result", "checkpoint"])
def test_no_flipped_bit_of_the_arrays_is_accepted(kind, files, tmp_path):
    path, read = files[kind]
    content = path.read_bytes()
    rng, start = random.Random(0), 8 + int.from_bytes(content[:8], "little")
    for _ in range(200):
        changed = bytearray(content)
        changed[rng.randrange(start, len(content))] ^= 1 << rng.randrange(8)
        (tmp_path / "changed").write_bytes(changed)
        with pytest.raises(ValueError, match=f"changed is not a simwidget {kind}: .*checksum"):
            read(tmp_path / "changed")


@pytest.mark.parametrize("change", [("n_samples", 1), ("notes", ["another"]), ("provenance", {"seconds": 2})])
def test_another_header_is_refused(change, files, tmp_path):
    path, read = files["result"]
    with open_container(path, "result") as container:
        arrays, checksum = container.read_arrays(10**6), container._checksum
        header = {**container.header, change[0]: change[1], "checksum": checksum}
    (tmp_path / "changed").write_bytes(save(arrays, {"simwidget": json.dumps(header)}))
    with pytest.raises(ValueError, match="does not fit its checksum"):
        read(tmp_path / "changed")


@pytest.mark.parametrize("kind", ["result", "checkpoint"])
def test_a_file_without_a_checksum_is_refused(kind, files, tmp_path):
    path, read = files[kind]
    with open_container(path, kind) as container:
        (tmp_path / "r").write_bytes(save(container.read_arrays(10**9), {"simwidget": json.dumps(container.header)}))
    with pytest.raises(ValueError, match="it has no checksum, which every released version writes"):
        read(tmp_path / "r")


def test_equal_content_gives_equal_files():
    arrays = {"b": np.arange(3.0), "a": np.array(True), "c": np.zeros((0, 2)), "d": np.arange(6).reshape(2, 3).T}
    assert len({container_bytes({"x": 1, "y": [float("nan")]}, arrays) for _ in range(20)}) == 1


def test_every_kind_of_array_comes_back(tmp_path):
    arrays = {"b": np.arange(3.0), "a": np.array(True), "c": np.zeros((0, 2)), "d": np.arange(6).reshape(2, 3).T}
    (tmp_path / "r").write_bytes(container_bytes({"x": float("nan")}, arrays))
    with open_container(tmp_path / "r", "result") as container:
        found = container.read_arrays(1000)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("kind", ["result", "checkpoint"])
def test_four_gigabytes_are_refused_after_the_header(kind, files, tmp_path):
    """The header is a valid one; the array that it says nothing about is a hole in the file."""
    path, read = files[kind]
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    outer, data = json.loads(content[8:start]), content[start:]
    n = 2**32
    outer["more"] = {"dtype": "U8", "shape": [n], "data_offsets": [len(data), len(data) + n]}
    head = json.dumps(outer).encode()
    large = tmp_path / "large"
    large.write_bytes(len(head).to_bytes(8, "little") + head + data)
    with open(large, "r+b") as file:
        file.truncate(8 + len(head) + len(data) + n)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"its arrays have 4,\d{3},\d{3},\d{3} bytes, where its header accounts for"):
        read(large)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_the_largest_history_is_accounted_for(tmp_path):
    """The limit of a checkpoint leaves room for every run: here for the most points that a history keeps."""
    torch.manual_seed(0)
    path, net = tmp_path / "run.simw", torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(200)))
    sw.compare({"a": net}, list(torch.randn(40, 8, 4)), gram_batch=8, device="cpu", checkpoint=path).run(False)
    assert read_checkpoint(path).header["pass"]["n_grams"] == 40


def test_a_file_that_is_replaced_while_it_is_opened_is_whole(tmp_path, monkeypatch):
    """As a reader of a checkpoint finds it while the run goes on."""
    path, stat = tmp_path / "run.simw", os.stat
    path.write_bytes(container_bytes({"of": "the stub"}, {}))

    def late(*arguments, **options):
        found = stat(*arguments, **options)
        monkeypatch.setattr(os, "stat", stat)
        replace_file(str(path), container_bytes({"of": "the run" * 1000}, {"a": np.arange(1000)}))
        return found

    monkeypatch.setattr(os, "stat", late)
    with open_container(path, "checkpoint") as container:
        assert container.header == {"of": "the run" * 1000}
        assert container.n_bytes == 8000
