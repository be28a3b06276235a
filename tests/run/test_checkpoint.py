"""A run goes on from its checkpoint as if it had never stopped: the same numbers, to the last bit."""

import random

import numpy as np
import pytest
import torch
from checkpoints import LOADERS, cut, go, mlp, seed_everything, stochastic
from torch.utils.data import DataLoader, IterableDataset

import simwidget as sw
from simwidget.run.checkpoint import read_checkpoint

# few and small batches have their notes, which are not what is tested here
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def assert_same_bits(one, other):
    assert one.n_batches == other.n_batches
    assert one.n_samples == other.n_samples
    for measure in (*one.measures, *one.differences):
        for view in ("xy", "xx", "yy"):
            np.testing.assert_array_equal(one.matrix(measure, view), other.matrix(measure, view))
            np.testing.assert_array_equal(one.stderr(measure, view), other.stderr(measure, view))
    assert np.isfinite(one.matrix("cka")).all()


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
    assert read_checkpoint(path).header["pass"]["n_batches"] == 3
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


class SinglePass(IterableDataset):
    def __iter__(self):
        yield from torch.randn(160, 6)


def test_a_loader_that_cannot_be_replayed_says_so(tmp_path):
    def loader():
        return DataLoader(SinglePass(), batch_size=16)

    models = {"a": mlp(0)}
    result = sw.resume(cut(models, loader(), tmp_path), models, loader(), device="cpu").run(False)
    assert result.n_batches == 10
    assert any(note.startswith("not bit-reproducible") for note in result.notes)
