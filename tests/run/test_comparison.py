"""A run from outside: threads, states, failures."""

import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
import reference
import torch

import simwidget as sw

WAIT = 60


class Gate:
    """A loader that gives each batch when the test lets it."""

    def __init__(self, n_batches):
        self.batches = [torch.randn(64, 6, generator=torch.Generator().manual_seed(b)) for b in range(n_batches)]
        self.open = threading.Semaphore(0)

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        for batch in self.batches:
            assert self.open.acquire(timeout=WAIT)
            yield batch

    def let(self, n):
        for _ in range(n):
            self.open.release()


def compare(loader, **options):
    models = {name: reference.mlp([6, 8, 4], seed=seed) for seed, name in enumerate("ab")}
    return sw.compare(models, loader, device="cpu", **options)


def test_before_the_run_there_are_axes_and_no_numbers():
    comparison = compare(Gate(1))
    result = comparison.result
    assert comparison.state == "ready"
    assert result.layers("a") == ("0", "2")
    assert np.isnan(result.matrix("cka")).all()
    assert result.reasons("cka", "a") == {"0": "no batch of 4 samples yet", "2": "no batch of 4 samples yet"}
    assert not result.complete


def test_partial_results_while_the_run_goes_on():
    gate = Gate(4)
    comparison = compare(gate).start()
    seen = []
    for n in range(1, 5):
        gate.let(1)
        assert comparison.wait_for_batches(n, WAIT)
        seen.append(comparison.result)
    final = comparison.wait(WAIT)
    assert [one.n_batches for one in seen] == [1, 2, 3, 4]
    assert [one.n_samples for one in seen] == [64, 128, 192, 256]
    assert np.isnan(seen[0].stderr("cka")).all()
    assert np.isfinite(seen[1].stderr("cka")).all()
    first_two = compare(gate.batches[:2]).run(False)
    assert np.array_equal(seen[1].matrix("dcka"), first_two.matrix("dcka"))
    assert not seen[2].complete
    assert final.complete
    assert comparison.state == "finished"


def test_pause_holds_and_resume_goes_on():
    gate = Gate(4)
    comparison = compare(gate).start()
    gate.let(1)
    assert comparison.wait_for_batches(1, WAIT)
    comparison.pause()
    gate.let(3)
    assert comparison.wait_for_state("paused", WAIT)
    held = comparison.n_batches
    assert held <= 2  # at most the batch that was under way
    comparison.resume()
    assert comparison.wait(WAIT).n_batches == 4


@pytest.mark.parametrize("paused", [False, True])
def test_stop_keeps_the_numbers(paused):
    gate = Gate(4)
    comparison = compare(gate).start()
    gate.let(1)
    assert comparison.wait_for_batches(1, WAIT)
    if paused:
        comparison.pause()
        gate.let(1)
        assert comparison.wait_for_state("paused", WAIT)
    comparison.stop()
    gate.let(1)
    result = comparison.wait(WAIT)
    assert comparison.state == "stopped"
    assert 1 <= result.n_batches <= 2
    assert not result.complete
    assert np.isfinite(result.matrix("cka")).all()


def test_stopping_takes_joined_samples_along():
    gate = Gate(2)
    comparison = compare(gate, gram_batch=100).start()
    gate.let(1)
    assert comparison.wait_for_batches(1, WAIT)
    assert comparison.result.n_samples == 0
    comparison.stop()
    gate.let(1)
    assert comparison.wait(WAIT).n_samples >= 64


def test_a_failure_is_raised_and_the_numbers_stay():
    def loader():
        yield torch.randn(64, 6)
        yield torch.randn(64, 5)

    comparison = compare(loader())
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        comparison.run(False)
    assert comparison.state == "failed"
    assert isinstance(comparison.error, RuntimeError)
    result = comparison.result
    assert result.n_samples == 64
    assert np.isfinite(result.matrix("cka")).all()
    assert any("failed after 1 batches" in note for note in result.notes)


def test_a_failure_keeps_samples_that_wait_to_be_joined():
    def loader():
        yield torch.randn(40, 6)
        yield torch.randn(40, 5)

    comparison = compare(loader())
    with pytest.raises(ValueError, match="confounder 'input' has 5 features in this batch and 6 in those"):
        comparison.run(False)
    assert comparison.result.n_samples == 40
    assert np.isfinite(comparison.result.matrix("cka")).all()


def test_a_failure_in_the_background_is_raised_by_wait():
    comparison = compare(["text"]).start()
    with pytest.raises(TypeError, match="batch 0 is a str"):
        comparison.wait(WAIT)
    assert comparison.state == "failed"


def test_an_interrupt_ends_a_blocking_run_and_keeps_the_result():
    def loader():
        yield torch.randn(64, 6)
        raise KeyboardInterrupt

    comparison = compare(loader())
    with pytest.raises(KeyboardInterrupt):
        comparison.run(False)
    assert comparison.state == "stopped"
    assert comparison.result.n_samples == 64


def test_models_and_loader_are_let_go():
    model = reference.mlp([6, 8, 4])
    watched = weakref.ref(model)
    comparison = sw.compare({"net": model}, [torch.randn(64, 6)], device="cpu")
    comparison.run(False)
    del model
    assert watched() is None


def test_no_activation_outlives_its_hook():
    alive = []

    def look(output):
        alive.append(weakref.ref(output))
        return output

    class Look(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (torch.nn.Linear(6, 6) for _ in range(3))

        def forward(self, x):
            x = self.b(self.a(x))
            assert sum(ref() is not None for ref in alive) <= 1  # what `a` gave is gone
            return self.c(x)

    sw.compare({"net": Look()}, [torch.randn(64, 6)] * 2, device="cpu", representation=look).run(False)
    assert len(alive) == 6


def test_max_batches_and_unknown_length():
    result = compare((torch.randn(64, 6) for _ in range(9)), max_batches=3).run(False)
    assert result.n_batches == 3
    assert result.complete


def test_a_comparison_runs_once():
    comparison = compare([torch.randn(64, 6)])
    with pytest.raises(RuntimeError, match="not started"):
        comparison.wait(1)
    comparison.run(False)
    with pytest.raises(RuntimeError, match="runs once"):
        comparison.start()


def test_waiting_has_a_limit():
    gate = Gate(1)
    comparison = compare(gate).start()
    with pytest.raises(TimeoutError, match="still running"):
        comparison.wait(0.01)
    gate.let(1)
    assert comparison.wait(WAIT).complete


def test_only_what_is_asked_for_is_evaluated():
    comparison = compare([torch.randn(64, 6)])
    comparison.run(False)
    part = comparison.snapshot(measures=["dcka"], pairs=[(0, 1)])
    assert part.measures == ("dcka",)
    assert list(part.views()) == [("a", "b")]
    assert np.array_equal(part.matrix("dcka"), comparison.result.matrix("dcka"))
    with pytest.raises(ValueError, match="'a' and 'a' is not in this result"):
        part.matrix("dcka", "xx")


def test_a_layer_that_turns_up_late_is_named():
    class Moody(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.always, self.later, self.first = (torch.nn.Linear(6, 6) for _ in range(3))
            self.passes = 0

        def forward(self, x):
            self.passes += 1
            x = self.always(x)
            if self.passes == 1:
                self.first(x)
            return self.always(x) if self.passes > 1 else x

    with pytest.warns(UserWarning, match=r"'always#1' ran for the first time.*batch 1"):
        result = sw.compare({"net": Moody()}, [torch.randn(64, 6)] * 3, layers=["*"], device="cpu").run(False)
    assert result.layers("net") == ("always", "first", "later")
    reasons = result.reasons("cka", "net")
    assert reasons == {"first": "did not run in every forward pass (batch 1)", "later": "never ran"}
    assert result.matrix()[0, 0] == pytest.approx(1)


def test_values_that_are_not_finite_are_named_and_the_others_go_on():
    class Overflow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fine, self.broken = torch.nn.Identity(), torch.nn.Identity()

        def forward(self, x):
            return self.broken(self.fine(x) / (x[:, :1] < 50))

    batches = [torch.randn(64, 6) for _ in range(3)]
    batches[1][0, 0] = 100
    result = sw.compare({"net": Overflow()}, batches, device="cpu").run(False)
    assert result.reasons("cka", "net") == {"broken": "non-finite values in batch 1 (float32)"}
    assert result.matrix()[0, 0] == pytest.approx(1)
    assert np.isnan(result.matrix()[1]).all()


def test_constant_layers_and_confounders_are_named():
    class Dead(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.live, self.dead = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)
            torch.nn.init.zeros_(self.dead.weight)
            torch.nn.init.constant_(self.dead.bias, 3.1)

        def forward(self, x):
            return self.live(torch.relu(x)) + self.dead(x)

    def level(batch):
        return torch.full((len(batch), 2), 7.0)

    batches = [torch.randn(64, 6) for _ in range(3)]
    with pytest.warns(UserWarning, match="confounder 'level' does not vary"):
        result = sw.compare({"net": Dead()}, batches, device="cpu", confounder=["input", level]).run(False)
    assert result.reasons("cka", "net") == {"dead": "constant representation"}
    alone = sw.compare({"net": Dead()}, batches, device="cpu").run(False)
    assert result.matrix("dcka")[0, 0] == pytest.approx(alone.matrix("dcka")[0, 0])
    assert np.isnan(result.matrix("cka")[1]).all()


def test_a_confounder_that_is_not_finite_leaves_nothing_deconfounded():
    def broken(batch):
        return batch[:, :1] / 0

    with pytest.warns(UserWarning, match="dCKA is not available"):
        result = compare([torch.randn(64, 6)] * 3, confounder=broken).run(False)
    assert np.isnan(result.matrix("dcka")).all()
    assert np.isfinite(result.matrix("cka")).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measures": "ckaa"}, "unknown measure 'ckaa'. Did you mean 'cka'"),
        ({"measures": ()}, "measures is empty"),
        ({"gram_batch": 0}, "gram_batch=0: give a whole number"),
        ({"max_batches": 2.5}, "max_batches=2.5"),
        ({"confounder": None}, "measure 'dcka' needs a confounder"),
        ({"confounder": "inputs"}, "confounder='inputs' is no layer"),
        ({"representation": "flaten"}, "representation='flaten': choose 'flatten'"),
        ({"average": "mean"}, "average='mean'"),
    ],
)
def test_wrong_options_fail_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        compare([torch.randn(64, 6)], **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.nn.Linear(2, 2), "model", []), "model is a str"),
        ((torch.nn.Linear(2, 2),), "two models and a loader"),
        (({"a": torch.nn.Sequential(torch.nn.Linear(2, 2))}, torch.zeros(3)), "loader is a Tensor"),
    ],
)
def test_wrong_models_and_loaders_fail_at_once(arguments, message):
    with pytest.raises(TypeError, match=message):
        sw.compare(*arguments)


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        ({"x": [1, 2]}, {}, "batch 0 is a mapping without tensors, with keys"),
        (torch.zeros(64, 6, dtype=torch.long), {}, "the input is int64"),
        (torch.randn(64, 6), {"confounder": lambda x: x[:3]}, r"returned \(3, 6\); it must return a tensor \(64"),
        (torch.randn(64, 6), {"representation": lambda x: x[0]}, r"layer '0', batch 0: representation= returned"),
    ],
)
def test_wrong_batches_are_named(batch, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compare([batch], **options).run(False)


def test_a_network_may_write_into_its_input():
    class Writer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.part = torch.nn.Linear(6, 6)

        def forward(self, x):
            return self.part(x.mul_(0))

    batches = [torch.randn(64, 6)]
    before = batches[0].clone()
    plain = reference.mlp([6, 6])
    result = sw.compare({"writer": Writer(), "plain": plain}, batches, device="cpu").run(False)
    assert torch.equal(batches[0], before)
    assert result.matrix("cka", "yy")[0, 0] == pytest.approx(1)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_torchscript_is_refused():
    traced = torch.jit.trace(reference.mlp([6, 6, 2]), torch.randn(2, 6))
    with pytest.raises(TypeError, match="TorchScript"):
        sw.compare(traced, traced, [])


@pytest.mark.parametrize("ending", ["", "comparison.wait_for_state('finished')"])
def test_python_ends_cleanly_beside_a_background_run(ending):
    code = f"""
import torch, simwidget as sw
net = torch.nn.Sequential(*[torch.nn.Linear(256, 256) for _ in range(8)])
comparison = sw.compare(net, net, [torch.randn(256, 256)] * 30, names=("a", "b"), device="cpu")
widget = sw.SimilarityHeatmap(comparison)
widget._publisher.begin()
comparison.start()
comparison.wait_for_batches(2)
{ending}
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")
