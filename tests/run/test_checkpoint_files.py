"""A checkpoint as a file: when and how it is written, and what is refused in words."""

import json
import resource
from contextlib import contextmanager

import pytest
import torch
from checkpoints import LOADERS, Drawing, cut, mlp
from torch.utils.data import DataLoader

import simwidget as sw
from simwidget.run.checkpoint import checkpoint_bytes, read_checkpoint, write_checkpoint
from simwidget.run.loop import take_batches

# few and small batches have their notes, which are not what is tested here
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


REFUSALS = {
    "weights": (lambda p, models, loader: sw.resume(p, {"a": mlp(5)}, loader), "models, a, other weights"),
    "layers": (
        lambda p, models, loader: sw.resume(p, models, loader, layers=["0", "2"]),
        "models, a, layers: 1, 3, 4 only in the checkpoint",
    ),
    "name": (lambda p, models, loader: sw.resume(p, {"b": models["a"]}, loader), "'a'"),
    "option": (
        lambda p, models, loader: sw.resume(p, models, loader, gram_batch=32),
        "options, gram_batch: 16 in the checkpoint, 32 here",
    ),
    "measures": (
        lambda p, models, loader: sw.resume(p, models, loader, measures="cka"),
        "measures: dcka only in the checkpoint",
    ),
    "length": (
        lambda p, models, loader: sw.resume(p, models, loader[:8]),
        "loader, batches: 10 in the checkpoint, 8 here",
    ),
}


@pytest.mark.parametrize(("do", "text"), REFUSALS.values(), ids=REFUSALS)
def test_another_run_is_refused_with_what_differs(do, text, tmp_path):
    models, loader = {"a": mlp(0)}, LOADERS["a list"]()
    path = cut(models, loader, tmp_path, gram_batch=16, layers=["*"])
    with pytest.raises(ValueError, match=r".") as found:
        do(path, models, loader)
    assert text in str(found.value)


def test_other_data_are_refused_when_they_come(tmp_path):
    models = {"a": mlp(0)}
    path = cut(models, DataLoader(Drawing(), batch_size=16), tmp_path)
    comparison = sw.resume(path, models, DataLoader(Drawing(seed=2), batch_size=16), device="cpu")
    with pytest.raises(ValueError, match="first batch of the loader differs from the first batch of the run"):
        comparison.run(False)
    assert comparison.state == "failed"
    assert comparison.result.n_batches == 4
    assert not any(module._forward_hooks for module in models["a"].modules())


def test_a_loader_that_ends_early_is_refused(tmp_path):
    models = {"a": mlp(0)}

    def some(n):
        return (batch for batch in LOADERS["a list"]()[:n])

    path = cut(models, some(10), tmp_path)
    with pytest.raises(ValueError, match="the loader ends after 3 batches, but 4 were completed before"):
        sw.resume(path, models, some(3), device="cpu").run(False)


def test_a_file_that_exists_is_not_written_over(tmp_path):
    path = tmp_path / "run.simw"
    path.write_text("precious")
    with pytest.raises(ValueError, match=r"exists: continue its run with simwidget.resume"):
        sw.compare({"a": mlp(0)}, LOADERS["a list"](), checkpoint=path)
    assert path.read_text() == "precious"


def test_a_folder_that_is_not_there_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        sw.compare({"a": mlp(0)}, [], checkpoint=tmp_path / "no" / "run.simw")


@contextmanager
def small_disk(size):
    """No file may grow beyond `size` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_older_checkpoint_and_the_run(tmp_path):
    models, loader = {"a": mlp(0)}, LOADERS["a list"]()
    path = tmp_path / "run.simw"
    comparison = sw.compare(models, loader, gram_batch=16, device="cpu", checkpoint=path, checkpoint_seconds=0)
    steps = take_batches(comparison._held, comparison._lifecycle)
    comparison._begin()
    for _ in range(3):
        next(steps)
    with small_disk(100):
        for _ in range(3):
            next(steps)
        assert any("could not be written" in note for note in comparison.result.notes)
    assert read_checkpoint(path).header["pass"]["n_batches"] <= 3
    assert [one.name for one in tmp_path.iterdir()] == ["run.simw"]
    for _ in steps:
        pass
    assert comparison.state == "finished"
    assert not comparison.result.notes  # it could be written at the end
    assert read_checkpoint(path).header["pass"]["n_batches"] == 10


def test_the_older_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "run.simw"
    header = {"pass": {}, "about": {}}
    write_checkpoint(path, header, {"x": torch.zeros(3)})
    before = path.read_bytes()

    def fail(handle):
        assert path.read_bytes() == before
        raise OSError("no more")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no more"):
        write_checkpoint(path, header, {"x": torch.ones(3)})
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["run.simw"]


def test_nothing_in_it_can_run(tmp_path):
    path = cut({"a": mlp(0)}, LOADERS["a list"](), tmp_path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert set(header) - {"__metadata__"} == set(read_checkpoint(path).arrays)
    assert isinstance(json.loads(header["__metadata__"]["simwidget"]), dict)


def spoil(path, change):
    """The checkpoint with another header or other arrays."""
    found = read_checkpoint(path)
    header, arrays = json.loads(json.dumps(found.header)), dict(found.arrays)
    change(header, arrays)
    format_ = header.pop("format")
    write_checkpoint(path, header, arrays)
    if format_ != 1:
        content = path.read_bytes().replace(b'\\"format\\": 1', b'\\"format\\": 9')
        path.write_bytes(content)


def set_(*way_and_value):
    *way, last, value = way_and_value

    def change(header, arrays):
        at = header
        for key in way:
            at = at[key]
        at[last] = value

    return change


def array(name, value):
    def change(header, arrays):
        arrays[name] = value(arrays[name])

    return change


DAMAGE = {
    "another format": (set_("format", 9), "it has format 9; this version reads format 1"),
    "rows of another network": (set_("pass", "rows", 1, "key", [0, "other"]), "it has a row of 'other'"),
    "fewer rows": (lambda header, arrays: header["pass"]["rows"].pop(), "does not fit this run"),
    "a row twice": (lambda h, a: h["pass"]["rows"].append(h["pass"]["rows"][1]), "rows are not those of this run"),
    "no rows": (set_("pass", "rows", None), "rows in its header is None, not a list"),
    "a number of batches": (set_("pass", "n_batches", 4), "(5,) marks for 4 batches"),
    "sums that are not finite": (array("sums/0/products", lambda x: x * torch.nan), "not finite"),
    "sums of another size": (array("sums/0/products", lambda x: x[:3]), "'sums/0/products' does not fit this run"),
    "sums of another type": (array("sums/0/products", lambda x: x.float()), "'sums/0/products' does not fit this run"),
    "a history of another size": (array("sums/0/history/products", lambda x: x[:, 1:]), "its history"),
    "random numbers": (array("source/now/torch", lambda x: x[:7]), "random number generators"),
    "no marks": (array("source/marks", lambda x: x[:2]), "marks for 5 batches"),
    "notes": (set_("pass", "notes", "order", 3), "not the state of a run"),
    "numbers of the notes": (set_("pass", "notes", "n_grams", None), "n_grams in its header is None"),
    "no options": (set_("given", 3), "given in its header is 3, not an object"),
    "an unknown option": (set_("given", "options", "colour", "red"), "does not know: 'colour'"),
}


@pytest.mark.parametrize(("change", "text"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_refused_in_words(change, text, tmp_path):
    models, loader = {"a": mlp(0)}, LOADERS["a list"]()
    path = cut(models, loader, tmp_path, gram_batch=16)
    spoil(path, change)
    with pytest.raises(ValueError, match=r".") as found:
        sw.resume(path, models, loader, device="cpu")
    assert str(path) in str(found.value)
    assert text in str(found.value)


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95junk", b"\xff" * 64, b"{}"])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "run.simw"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a simwidget checkpoint"):
        sw.resume(path, {"a": mlp(0)}, [])


def test_a_result_is_no_checkpoint(tmp_path):
    path = tmp_path / "result.simw"
    sw.compare({"a": mlp(0)}, LOADERS["a list"](), device="cpu").run(False).save(path)
    with pytest.raises(ValueError, match="is not a simwidget checkpoint"):
        sw.resume(path, {"a": mlp(0)}, [])


def test_it_is_written_now_and_then_only(tmp_path, monkeypatch):
    """Never for more than a twentieth of the time, and never while samples wait to be joined."""
    clock = [0.0]
    written = []
    monkeypatch.setattr("simwidget.run.checkpointer.time.monotonic", lambda: clock[0])

    def write(header, arrays):
        written.append(header["pass"]["n_batches"])
        clock[0] += 1.0
        return checkpoint_bytes(header, arrays)

    monkeypatch.setattr("simwidget.run.checkpointer.checkpoint_bytes", write)
    loader = list(torch.randn(60, 16, 6))
    comparison = sw.compare(
        {"a": mlp(0)}, loader, gram_batch=32, device="cpu", checkpoint=tmp_path / "x", checkpoint_seconds=5
    )
    comparison.watch(lambda: clock.__setitem__(0, clock[0] + 1.0) if comparison.state == "running" else None)
    comparison.run(False)
    assert all(n % 2 == 0 for n in written)
    assert written[0] == 6
    assert all(b - a >= 20 for a, b in zip(written[:-2], written[1:-1], strict=False))
    assert written[-1] == 60
