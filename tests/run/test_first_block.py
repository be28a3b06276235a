"""A resumed run repeats its first block, so that what changed since is found, and nothing else is disturbed."""

import json

import numpy as np
import pytest
import torch
from checkpoints import LOADERS, Stochastic, cut, go, mlp, seed_everything, steps_of, stochastic
from torch import nn

import simwidget as sw
from simwidget.run.block_numbers import BlockNumbers
from simwidget.run.checkpoint import read_checkpoint, write_checkpoint

# few and small batches have their notes, which are not what is tested here
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Net(nn.Module):
    """The same parameters and settings with other code: `slope` is not printed."""

    def __init__(self, slope):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 4)
        self.slope = slope

    def forward(self, x):
        return self.second(nn.functional.leaky_relu(self.first(x), self.slope))


def leaky(slope):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(slope), nn.Linear(8, 4))


def test_other_settings_of_a_module_are_named(tmp_path):
    loader = LOADERS["a list"]()
    path = cut({"a": leaky(0.01)}, loader, tmp_path, gram_batch=16)
    text = "models, a, settings, 1: 'negative_slope=0.01' in the checkpoint, 'negative_slope=0.9' here"
    with pytest.raises(ValueError, match=text):
        sw.resume(path, {"a": leaky(0.9)}, loader)


@pytest.mark.parametrize("way", ["run", "start"])
@pytest.mark.parametrize("gram_batch", [16, 40])
def test_changed_code_is_found_before_anything_is_added(gram_batch, way, tmp_path):
    loader = LOADERS["a list"]()
    path = cut({"a": Net(0.01), "b": mlp(0)}, loader, tmp_path, gram_batch=gram_batch)
    before = read_checkpoint(path)
    comparison = sw.resume(path, {"a": Net(0.9), "b": mlp(0)}, loader, device="cpu")
    n = comparison.n_batches
    for _ in range(2):  # running it again does not get around it
        with pytest.raises(
            ValueError, match=r"other numbers than the checkpoint has, first in layer 'second' of 'a'\."
        ):
            go(comparison, way)
        assert comparison.state == "failed"
        assert comparison.n_batches == n
    after = read_checkpoint(path)
    assert after.header["pass"] == before.header["pass"]
    assert all(torch.equal(array, after.arrays[name]) for name, array in before.arrays.items())
    assert sw.resume(path, {"a": Net(0.01), "b": mlp(0)}, loader, device="cpu").run(False).n_batches == 10


def test_on_another_device_a_difference_may_be_rounding(tmp_path):
    loader = LOADERS["a list"]()
    path = cut({"a": Net(0.01)}, loader, tmp_path, gram_batch=16)
    found = read_checkpoint(path)
    assert found.header["run"]["devices"] == ["cpu"]
    found.header["run"]["devices"] = ["another"]
    write_checkpoint(path, found.header, found.arrays)
    (note,) = sw.resume(path, {"a": Net(0.9)}, loader, device="cpu").run(False).notes
    assert "other numbers on this device than the checkpoint has from another, first in layer 'second' of 'a'" in note


def test_changed_preprocessing_is_found(tmp_path):
    models, loader = {"a": mlp(0)}, LOADERS["a list"]()
    path = cut(models, loader, tmp_path, gram_batch=16, inputs=lambda batch: batch / 2)
    with pytest.raises(ValueError, match="first in layer '0' of 'a', layer '2' of 'a'"):
        sw.resume(path, models, loader, device="cpu", inputs=lambda batch: batch / 3).run(False)


def test_changed_weights_that_a_hash_does_not_see_are_found(tmp_path, monkeypatch):
    loader = LOADERS["a list"]()
    path = cut({"a": mlp(0)}, loader, tmp_path, gram_batch=16)
    monkeypatch.setattr("simwidget.run.identity.fingerprint", lambda network: "the same")
    header, arrays = read_checkpoint(path).header, read_checkpoint(path).arrays
    header["about"]["models"]["a"]["weights"] = "the same"
    write_checkpoint(path, header, arrays)
    with pytest.raises(ValueError, match="first in layer '0' of 'a', layer '2' of 'a', layer '4' of 'a'"):
        sw.resume(path, {"a": mlp(5)}, loader, device="cpu").run(False)


class ChangedStochastic(Stochastic):
    def forward(self, x):
        return super().forward(3 * x)


ChangedStochastic.__name__ = "Stochastic"


@pytest.mark.parametrize("way", ["run", "start"])
def test_a_network_that_draws_random_numbers_is_compared_as_far_as_possible(way, tmp_path):
    loader = LOADERS["a list"]()
    models = {"a": stochastic(0), "b": stochastic(1), "c": mlp(1)}
    seed_everything(7)
    path = cut(models, loader, tmp_path, way=way, gram_batch=16)
    same = tmp_path / "same"
    same.write_bytes(path.read_bytes())
    seed_everything(99)
    assert not go(sw.resume(same, models, loader, device="cpu"), way).notes
    models["a"].__class__ = ChangedStochastic
    ChangedStochastic.__qualname__ = "Stochastic"
    (note,) = go(sw.resume(path, models, loader, device="cpu"), way).notes
    assert "only in networks that draw random numbers" in note


def test_other_batches_of_a_loader_that_repeats_none_are_not_compared(tmp_path):
    models = {"a": mlp(0)}
    path = cut(models, iter(list(torch.randn(10, 16, 6))), tmp_path, gram_batch=16)
    result = sw.resume(path, models, iter(list(torch.randn(10, 16, 6))), device="cpu").run(False)
    (note,) = result.notes
    assert note.startswith("not bit-reproducible")


def test_a_block_of_another_size_is_not_compared_and_said(tmp_path):
    models, loader = {"a": mlp(0)}, LOADERS["a list"]()
    path = cut(models, loader, tmp_path, gram_batch=16)
    found = read_checkpoint(path)
    write_checkpoint(path, found.header, {**found.arrays, "first/n": torch.tensor(8)})
    result = sw.resume(path, models, loader, device="cpu").run(False)
    assert result.notes == (
        "the first block could not be compared with the checkpoint: its batches were split otherwise",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("first/n", torch.zeros(2)), ("first/numbers", torch.zeros(2, 4)), ("first/numbers", torch.zeros(4, 4))],
)
def test_damaged_numbers_are_refused(name, value, tmp_path):
    models, loader = {"a": mlp(0)}, LOADERS["a list"]()
    path = cut(models, loader, tmp_path, gram_batch=16)
    found = read_checkpoint(path)
    write_checkpoint(path, json.loads(json.dumps(found.header)), {**found.arrays, name: value})
    with pytest.raises(ValueError, match=f"its array '{name}' does not fit this run"):
        sw.resume(path, models, loader)


def test_the_numbers_are_a_trace_and_quadratic_forms_of_signs():
    x = torch.randn(3, 50, 7, generator=torch.Generator().manual_seed(0))
    found = BlockNumbers.of(x @ x.mT)
    x = x.double().numpy()
    np.testing.assert_allclose(found.numbers[:, 0], (x**2).sum((1, 2)), rtol=1e-5)
    for k in range(1, 4):
        one = BlockNumbers.of(torch.eye(50).expand(1, 50, 50)).numbers[0, k]
        assert one == 50  # signs
        assert (found.numbers[:, k] / found.numbers[:, 0] > 0.05).all()
        assert (found.numbers[:, k] / found.numbers[:, 0] < 10).all()


@pytest.mark.parametrize("why", ["data", "code", "end"])
def test_a_refused_resume_leaves_the_checkpoint_as_it_was(why, tmp_path):
    path = tmp_path / "run.simw"
    batches = Sized([torch.randn(32, 6) for _ in range(6)], 6)
    whole = sw.compare({"net": Net(0.1)}, batches, gram_batch=32, device="cpu").run(False)
    sw.compare({"net": Net(0.1)}, batches, gram_batch=32, device="cpu", checkpoint=path, max_batches=3).run(False)
    before = read_checkpoint(path)
    net, loader = Net(0.1), batches
    if why == "data":
        loader = Sized([2 * x for x in batches], 6)
    elif why == "code":
        net.slope = 0.9
    else:
        loader = Sized(batches[:2], 6)
    torch.manual_seed(7)  # the generators are in another state
    refused = sw.resume(path, {"net": net}, loader, max_batches=None)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"pass the same|is of another run"):
            refused.run(False)
    refused.close()
    after = read_checkpoint(path)
    assert after.arrays.keys() == before.arrays.keys()
    assert all(torch.equal(after.arrays[name], one) for name, one in before.arrays.items())
    result = sw.resume(path, {"net": Net(0.1)}, batches, max_batches=None).run(False)
    assert np.array_equal(result.matrix(), whole.matrix())


class Sized(list):
    """A list that says how long it is, which may be wrong."""

    def __init__(self, batches, length):
        super().__init__(batches)
        self.length = length

    def __len__(self):
        return self.length


def test_slightly_other_numbers_have_a_note(tmp_path):
    loader = LOADERS["a list"]()
    path = cut({"a": Net(0.01)}, loader, tmp_path, gram_batch=16)
    comparison = sw.resume(path, {"a": Net(0.0101)}, loader, device="cpu")
    result = comparison.run(progress=False)
    (note,) = (note for note in result.notes if "slightly other numbers" in note)
    assert "first in layer 'second' of 'a'" in note
    (tmp_path / "whole").unlink()
    same = cut({"a": Net(0.01)}, loader, tmp_path, gram_batch=16)
    assert not any("slightly" in note for note in sw.resume(same, {"a": Net(0.01)}, loader).run(False).notes)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_runs_out_while_the_first_block_is_repeated(error, tmp_path):
    loader = LOADERS["a list"]()
    path = cut({"a": Net(0.01)}, loader, tmp_path, gram_batch=16)
    net, fails = Net(0.01), [True]

    def raises(module, args):
        if fails:
            fails.clear()
            raise error

    net.register_forward_pre_hook(raises)
    result = sw.resume(path, {"a": net}, loader, device="cpu").run(progress=False)
    assert any("the first block could not be compared" in note for note in result.notes)
    assert result.complete


def test_a_refused_resume_takes_the_file_from_no_run(tmp_path):
    """And the generator of the loader is as it was."""
    path = tmp_path / "run.simw"
    first = sw.compare(
        {"a": Net(0.01)}, LOADERS["own generator"](), gram_batch=16, device="cpu", checkpoint=path, checkpoint_seconds=0
    )
    steps = steps_of(first)
    for _ in range(3):
        next(steps)
    loader = LOADERS["own generator"]()
    loader.generator.manual_seed(5)
    changed = Net(0.9)
    before, shared = loader.generator.get_state(), torch.get_rng_state()
    for way in ("run", "start"):
        again = sw.resume(path, {"a": changed}, loader, device="cpu")
        with pytest.raises(ValueError, match="other numbers than the checkpoint has"):
            go(again, way)
        assert torch.equal(loader.generator.get_state(), before)
        assert torch.equal(torch.get_rng_state(), shared)
    for _ in steps:
        pass
    assert not any("not this run's" in note for note in first.result.notes)
    assert read_checkpoint(path).header["pass"]["n_batches"] == first.n_batches == len(loader)
