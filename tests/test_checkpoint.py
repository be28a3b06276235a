"""A run goes on from its checkpoint as if it had never stopped: the same numbers, to the last bit."""

import json
import random
import resource
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

import simwidget as sw
from simwidget.checkpoint import read_checkpoint, write_checkpoint

# few and small batches have their notes, which are not what is tested here
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Drawing(Dataset):
    """Samples that draw random numbers when they are read, as augmentations do: torch's, NumPy's and Python's."""

    def __init__(self, n=160, seed=1):
        self.x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        noise = torch.randn(6) + float(np.random.rand()) + random.random()
        return self.x[index] + 0.1 * noise, index % 5


class Stochastic(nn.Module):
    """A network that draws random numbers in evaluation mode too."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.second(self.first(x) + torch.randn(len(x), 8))


def mlp(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))


def stochastic(seed):
    torch.manual_seed(seed)
    return Stochastic()


def seed_everything(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def go(comparison, way="run"):
    return comparison.run(False) if way == "run" else comparison.start().wait(60)


def copied_after(comparison, n, path, copy):
    """A copy of the checkpoint as it is after n batches: what a process killed then leaves behind."""

    def look():
        if comparison.n_batches == n and comparison.state == "running":
            shutil.copy(path, copy)

    comparison.watch(look)


def cut(models, loader, folder, after=5, way="run", **options):
    """The checkpoint of a run that was killed after some batches."""
    comparison = sw.compare(models, loader, checkpoint=folder / "whole", checkpoint_seconds=0, device="cpu", **options)
    copied_after(comparison, after, folder / "whole", folder / "cut")
    go(comparison, way)
    return folder / "cut"


def assert_same_bits(one, other):
    assert one.n_batches == other.n_batches
    assert one.n_samples == other.n_samples
    for measure in (*one.measures, *one.differences):
        for view in ("xy", "xx", "yy"):
            np.testing.assert_array_equal(one.matrix(measure, view), other.matrix(measure, view))
            np.testing.assert_array_equal(one.stderr(measure, view), other.stderr(measure, view))
    assert np.isfinite(one.matrix("cka")).all()


LOADERS = {
    "shuffled": lambda: DataLoader(Drawing(), batch_size=16, shuffle=True),
    "workers": lambda: DataLoader(Drawing(), batch_size=16, shuffle=True, num_workers=2),
    "own generator": lambda: DataLoader(
        Drawing(), batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(3)
    ),
    "an uneven end": lambda: DataLoader(Drawing(150), batch_size=16),
    "a list": lambda: list(torch.randn(10, 16, 6, generator=torch.Generator().manual_seed(4))),
}


@pytest.mark.parametrize("ways", ["run run", "start start", "run start"])
@pytest.mark.parametrize("gram_batch", [16, 40])
@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_a_resumed_run_ends_with_the_same_bits(make, gram_batch, ways, tmp_path):
    """Killed after five of ten batches; with 40 samples a Gram matrix the checkpoint is two batches older."""
    first, second = ways.split()
    models = {"a": mlp(0), "b": mlp(1)}
    seed_everything(7)
    whole = sw.compare(models, make(), gram_batch=gram_batch, device="cpu")
    expected = go(whole, first)
    seed_everything(7)
    path = cut(models, make(), tmp_path, way=first, gram_batch=gram_batch)
    seed_everything(99)
    again = sw.resume(path, models, make(), device="cpu")
    assert again.n_batches == (5 if gram_batch == 16 else 3)
    assert_same_bits(go(again, second), expected)
    assert again.result.notes == expected.notes
    for measure, curve in whole.convergence("0", "2").items():
        for name, values in vars(curve).items():
            np.testing.assert_array_equal(getattr(again.convergence("0", "2")[measure], name), values)
    assert again.inspect("0", "2").n_compared == whole.inspect("0", "2").n_compared


@pytest.mark.parametrize("way", ["run", "start"])
def test_networks_that_draw_random_numbers_go_on_drawing(way, tmp_path):
    models = {"a": stochastic(0), "b": stochastic(1)}
    loader = list(torch.randn(10, 16, 6))
    seed_everything(7)
    expected = go(sw.compare(models, loader, gram_batch=16, device="cpu"), way)
    seed_everything(7)
    path = cut(models, loader, tmp_path, way=way, gram_batch=16)
    seed_everything(99)
    assert_same_bits(go(sw.resume(path, models, loader, device="cpu"), way), expected)


def test_a_resumed_run_leaves_the_generators_as_they_were(tmp_path):
    models = {"a": mlp(0)}
    path = cut(models, LOADERS["shuffled"](), tmp_path)
    seed_everything(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    sw.resume(path, models, LOADERS["shuffled"](), device="cpu").run(False)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_curves_notes_and_reasons_come_back(tmp_path):
    """What is said of the first half is said at the end: labels in order, non-finite values, samples left out."""
    bad = mlp(0)
    batches = [(torch.randn(16, 6), torch.full((16,), k)) for k in range(10)]
    batches[2] = (torch.full((16, 6), torch.inf), batches[2][1])
    expected = sw.compare({"a": bad}, batches, gram_batch=16, device="cpu").run(False)
    result = sw.resume(cut({"a": bad}, batches, tmp_path, gram_batch=16), {"a": bad}, batches, device="cpu").run(False)
    assert result.notes == expected.notes
    assert any("ordered by class" in note for note in result.notes)
    assert result.reasons("cka", "a") == expected.reasons("cka", "a")
    assert "batch 2" in result.reasons("cka", "a")["0"]


def test_a_finished_run_goes_on_with_more_batches(tmp_path):
    models, loader = {"a": mlp(0), "b": mlp(1)}, LOADERS["a list"]()
    expected = sw.compare(models, loader, gram_batch=16, device="cpu").run(False)
    path = tmp_path / "run.simw"
    half = sw.compare(models, loader, gram_batch=16, device="cpu", checkpoint=path, max_batches=4).run(False)
    assert half.n_batches == 4
    assert half.provenance["ended_by"] == "max_batches=4"
    again = sw.resume(path, models, loader, device="cpu").run(False)
    assert again.n_batches == 4
    assert_same_bits(sw.resume(path, models, loader, device="cpu", max_batches=None).run(False), expected)


def test_a_stopped_run_goes_on(tmp_path):
    models, loader = {"a": mlp(0), "b": mlp(1)}, LOADERS["a list"]()
    expected = sw.compare(models, loader, gram_batch=16, device="cpu").run(False)
    path = tmp_path / "run.simw"
    comparison = sw.compare(models, loader, gram_batch=16, device="cpu", checkpoint=path)
    comparison.watch(lambda: comparison.stop() if comparison.n_batches == 3 and comparison.state == "running" else None)
    assert comparison.run(False).n_batches == 3
    assert comparison.state == "stopped"
    assert_same_bits(sw.resume(path, models, loader, device="cpu").run(False), expected)


def test_a_pause_writes_it(tmp_path):
    path = tmp_path / "run.simw"
    comparison = sw.compare({"a": mlp(0)}, LOADERS["a list"](), gram_batch=16, device="cpu", checkpoint=path)
    comparison.watch(lambda: comparison.pause() if comparison.n_batches == 3 else None)
    comparison.start()
    assert comparison.wait_for_state("paused", 60)
    assert read_checkpoint(path).header["stream"]["n_batches"] == 3
    comparison.stop()
    comparison.wait(60)


def test_the_other_options_come_from_the_file(tmp_path):
    models, loader = {"a": mlp(0), "b": mlp(1)}, LOADERS["a list"]()
    options = {"measures": "cka", "layers": ["0", "4"], "unbiased": False, "representation": "mean", "gram_batch": 16}
    path = cut(models, loader, tmp_path, **options)
    result = sw.resume(path, models, loader, device="cpu").run(False)
    assert result.layers("a") == ("0", "4")
    assert result.provenance["options"]["representation"] == "mean"
    assert_same_bits(result, sw.compare(models, loader, device="cpu", **options).run(False))


def test_two_models_and_their_names_come_from_the_file(tmp_path):
    net, other, loader = mlp(0), mlp(1), LOADERS["a list"]()
    path = tmp_path / "run.simw"
    sw.compare(net, other, loader, names=("left", "right"), device="cpu", checkpoint=path, max_batches=4).run(False)
    assert sw.resume(path, net, other, loader, device="cpu", max_batches=None).run(False).models == ("left", "right")


def test_functions_are_given_again(tmp_path):
    def double(batch):
        return 2 * batch

    models, loader = {"a": mlp(0)}, LOADERS["a list"]()
    path = cut(models, loader, tmp_path, inputs=double)
    with pytest.raises(ValueError, match="had inputs=, which a file cannot hold: give it again"):
        sw.resume(path, models, loader)
    assert sw.resume(path, models, loader, device="cpu", inputs=double).run(False).n_batches == 10


class Stream(IterableDataset):
    def __iter__(self):
        yield from torch.randn(160, 6)


def test_a_loader_that_cannot_be_replayed_says_so(tmp_path):
    def loader():
        return DataLoader(Stream(), batch_size=16)

    models = {"a": mlp(0)}
    result = sw.resume(cut(models, loader(), tmp_path), models, loader(), device="cpu").run(False)
    assert result.n_batches == 10
    assert any(note.startswith("not bit-reproducible") for note in result.notes)


REFUSALS = {
    "weights": (lambda p, models, loader: sw.resume(p, {"a": mlp(5)}, loader), "models, a, other weights"),
    "layers": (
        lambda p, models, loader: sw.resume(p, models, loader, layers=["0", "2"]),
        "models, a, layers: 1, 3, 4 only there",
    ),
    "name": (lambda p, models, loader: sw.resume(p, {"b": models["a"]}, loader), "'a'"),
    "option": (
        lambda p, models, loader: sw.resume(p, models, loader, gram_batch=32),
        "options, gram_batch: 16 there, 32 here",
    ),
    "measures": (lambda p, models, loader: sw.resume(p, models, loader, measures="cka"), "measures: dcka only there"),
    "length": (lambda p, models, loader: sw.resume(p, models, loader[:8]), "loader, batches: 10 there, 8 here"),
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
    with pytest.raises(ValueError, match="first batch of the loader is not the one that the run began with"):
        comparison.run(False)
    assert comparison.state == "failed"
    assert comparison.result.n_batches == 4
    assert not any(module._forward_hooks for module in models["a"].modules())


def test_a_loader_that_ends_early_is_refused(tmp_path):
    models = {"a": mlp(0)}

    def some(n):
        return (batch for batch in LOADERS["a list"]()[:n])

    path = cut(models, some(10), tmp_path)
    with pytest.raises(ValueError, match="the loader ends after 3 batches, and the run had taken 4"):
        sw.resume(path, models, some(3), device="cpu").run(False)


def test_a_file_that_exists_is_not_written_over(tmp_path):
    path = tmp_path / "run.simw"
    path.write_text("precious")
    with pytest.raises(ValueError, match=r"exists: go on with its run, simwidget.resume"):
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
    steps = comparison._batches()
    comparison._begin()
    for _ in range(3):
        next(steps)
    with small_disk(100):
        for _ in range(3):
            next(steps)
        assert any("could not be written" in note for note in comparison.result.notes)
    assert read_checkpoint(path).header["stream"]["n_batches"] <= 3
    assert not list(tmp_path.glob("*.part"))
    for _ in steps:
        pass
    assert comparison.state == "finished"
    assert not comparison.result.notes  # it could be written at the end
    assert read_checkpoint(path).header["stream"]["n_batches"] == 10


def test_the_older_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "run.simw"
    header = {"stream": {}, "about": {}}
    write_checkpoint(path, header, {"x": torch.zeros(3)})
    before = path.read_bytes()

    def fail(handle):
        assert path.read_bytes() == before
        raise OSError("no more")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no more"):
        write_checkpoint(path, header, {"x": torch.ones(3)})
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


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
    "rows of another network": (set_("stream", "rows", 1, "key", [0, "other"]), "it has a row of 'other'"),
    "fewer rows": (lambda header, arrays: header["stream"]["rows"].pop(), "is not one of this run"),
    "a row twice": (lambda h, a: h["stream"]["rows"].append(h["stream"]["rows"][1]), "rows are not those of this run"),
    "no rows": (set_("stream", "rows", None), "rows in its header is None, not a list"),
    "a number of batches": (set_("stream", "n_batches", 4), "(5,) marks for 4 batches"),
    "sums that are not finite": (array("sums/0/products", lambda x: x * torch.nan), "not finite"),
    "sums of another size": (array("sums/0/products", lambda x: x[:3]), "'sums/0/products' is not one of this run"),
    "sums of another type": (array("sums/0/products", lambda x: x.float()), "'sums/0/products' is not one of this run"),
    "a history of another size": (array("sums/0/history/products", lambda x: x[:, 1:]), "its history"),
    "random numbers": (array("feed/now/torch", lambda x: x[:7]), "random number generators"),
    "no marks": (array("feed/marks", lambda x: x[:2]), "marks for 5 batches"),
    "remarks": (set_("stream", "remarks", "order", 3), "not the state of a run"),
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
    monkeypatch.setattr("simwidget.checkpoint.time.monotonic", lambda: clock[0])

    def write(path, header, arrays):
        written.append(header["stream"]["n_batches"])
        clock[0] += 1.0

    monkeypatch.setattr("simwidget.checkpoint.write_checkpoint", write)
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
