"""Several runs at the same time: one of two over the same model is refused, and none disturbs another."""

import copyreg
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.restore.copies import EvaluationMode
from simwidget.restore.fused_layers import fused_layers_disabled

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def batches(n=8, seed=0, width=4):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(64, width, generator=generator) for _ in range(n)]


class Slow(list):
    def __iter__(self):
        for batch in list.__iter__(self):
            time.sleep(0.01)
            yield batch


def dropping(n=20):
    """Wrong numbers come of any part that is in training mode."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Tanh()) for _ in range(n))).train()


def alone(models, given):
    return sw.compare(models, given, measures="cka", device="cpu").run(False).matrix()


@pytest.mark.parametrize("threads", [False, True], ids=["one after the other", "from two threads"])
@pytest.mark.parametrize("attempt", range(5))
def test_of_two_runs_over_one_model_one_is_refused(attempt, threads):
    net, given = dropping(), batches()
    expected, modes = alone({"net": net}, given), []
    net[0][1].register_forward_pre_hook(lambda module, args: modes.append(module.training))
    runs = [sw.compare({"net": net}, Slow(given), measures="cka", device="cpu") for _ in range(2)]
    starts = [threading.Thread(target=run.start) for run in runs]
    for run, start in zip(runs, starts):
        start.start() if threads else run.start()
    for start in starts if threads else ():
        start.join()
    for run in runs:
        run._lifecycle.wait_for(lambda run=run: run.state in ("finished", "failed"), 60)
    assert sorted(run.state for run in runs) == ["failed", "finished"]
    (refused,) = (run for run in runs if run.state == "failed")
    assert "is used by another running comparison" in str(refused.error)
    (finished,) = (run for run in runs if run.state == "finished")
    assert np.array_equal(finished.result.matrix(), expected)
    assert not any(modes)
    assert all(module.training for module in net.modules())


class Held(list):
    """Gives its first batch, and the others once it is released."""

    def __init__(self, given):
        super().__init__(given)
        self.released = threading.Event()

    def __iter__(self):
        yield self[0]
        assert self.released.wait(60)
        yield from self[1:]


def test_models_that_share_modules_may_run_at_once():
    """The run that began first ends while the other has batches to go."""
    shared = dropping(4)
    first = nn.Sequential(shared, nn.Linear(4, 3))
    second = nn.Sequential(shared, nn.Linear(4, 2))
    expected = alone({"second": second}, batches())
    held, others = Held(batches(2)), Held(batches())
    short = sw.compare({"first": first}, held, layers=["1"], measures="cka", device="cpu").start()
    short.wait_for_batches(1, 60)
    long = sw.compare({"second": second}, others, measures="cka", device="cpu").start()
    long.wait_for_batches(1, 60)
    held.released.set()
    short.wait(60)
    others.released.set()
    long.wait(60)
    assert np.array_equal(long.result.matrix(), expected)
    assert np.isfinite(expected).all()
    assert all(module.training for module in [*first.modules(), *second.modules()])


def test_settings_of_the_process_are_as_before_when_the_last_run_ends():
    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

        def forward(self, x):
            return self.layer(x[:, None])

    before = torch.backends.mha.get_fastpath_enabled()
    assert before
    runs = [sw.compare({"net": Watched()}, Slow(batches(5, k)), measures="cka", device="cpu") for k in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.wait(60)
    assert torch.backends.mha.get_fastpath_enabled()
    with fused_layers_disabled(), fused_layers_disabled():
        assert not torch.backends.mha.get_fastpath_enabled()
    entered, leaves = fused_layers_disabled(), fused_layers_disabled()
    entered.__enter__()
    leaves.__enter__()
    entered.__exit__(None, None, None)
    assert not torch.backends.mha.get_fastpath_enabled()  # another is still inside
    leaves.__exit__(None, None, None)
    assert torch.backends.mha.get_fastpath_enabled()


class Frozen(nn.Module):
    """It refuses to be put into evaluation mode."""

    def __setattr__(self, name, value):
        if name == "training" and "_guarded" in vars(self):
            raise AttributeError("frozen")
        super().__setattr__(name, value)

    def __init__(self):
        super().__init__()
        self._guarded = True

    def forward(self, x):
        return x


def test_modes_are_put_back_if_a_module_refuses_to_be_changed():
    part, frozen = dropping(3), Frozen()
    net = nn.Sequential(part, frozen)
    with pytest.raises(AttributeError, match="frozen"):
        EvaluationMode(net).__enter__()
    assert all(module.training for module in part.modules())
    with EvaluationMode(part):
        assert not any(module.training for module in part.modules())
    assert all(module.training for module in part.modules())


def test_what_the_user_has_set_for_copies_stays():
    class Own(nn.Linear):
        pass

    net = nn.Sequential(Own(4, 4))
    net[0].__deepcopy__ = lambda memo: "mine"
    with EvaluationMode(net):
        copyreg.pickle(Own, lambda module: "text")
    assert net[0].__deepcopy__({}) == "mine"
    assert copyreg.dispatch_table.pop(Own)(net[0]) == "text"
    with EvaluationMode(net):
        pass


def test_a_thread_that_cannot_be_started_is_a_failed_run(monkeypatch):
    run = sw.compare({"net": dropping(2)}, batches(2), measures="cka", device="cpu")

    def start(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            run.start()
    assert run.state == "failed"
    assert run.run(False).n_samples == 128


def test_a_forward_pass_that_computes_gradients():
    class Force(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(4, 8), nn.Linear(8, 1)

        def forward(self, x):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(self.two(torch.tanh(self.one(x))).sum(), x)[0]

    result = sw.compare({"net": Force()}, batches(2), measures="cka", device="cpu", layers=["one", "two"]).run(False)
    assert not result.reasons("cka", "net")


def test_a_loader_that_ends_too_early_has_a_note():
    class Short(list):
        def __len__(self):
            return 5

    result = sw.compare({"net": dropping(2)}, Short(batches(3)), measures="cka", device="cpu").run(False)
    assert "the loader ended after 3 batches, and its length says 5: are samples missing?" in result.notes


def test_a_run_that_was_left_without_its_end_does_not_touch_later_modules():
    """A later module may have the id of one that is gone."""
    from simwidget.restore import copies

    gone = EvaluationMode(nn.Linear(2, 2))
    gone.__enter__()
    (entry,) = (mode for mode in copies._modes.values() if isinstance(mode.module(), nn.Linear))
    module = nn.Linear(3, 3).train()
    copies._modes[id(module)] = entry
    with EvaluationMode(module):
        assert not module.training
    assert module.training
    gone.__exit__(None, None, None)
    assert not copies._modes
