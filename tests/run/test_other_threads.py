"""Other threads use the networks of a run while runs begin and end; copies that are made during a run."""

import copy
import copyreg
import gc
import pickle
import weakref
from io import BytesIO

import pytest
import torch
from torch import nn

import simwidget as sw
from benchmarks.threads import use_during_runs
from simwidget.restore.copies import EvaluationMode


def test_nothing_is_ever_missing_for_other_threads():
    uses = use_during_runs(n_runs=6, n_modules=450)
    assert [use.problem for use in uses] == [None] * 3
    assert min(use.count for use in uses) > 0


def plain():
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Dropout(), nn.Linear(4, 3)))


def with_user_hook():
    net = plain()
    net[0].register_forward_hook(doubled)
    net[0].training = False  # frozen by hand: a copy keeps this
    return net


def doubled(module, inputs, output):
    return 2 * output


class OwnState(nn.Module):
    """Says itself how it is pickled."""

    def __init__(self):
        super().__init__()
        self.part = nn.Linear(4, 3)
        self.cache = lambda: None  # cannot be pickled

    def forward(self, x):
        return self.part(x)

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "cache"}


class OwnCopy(OwnState):
    def __deepcopy__(self, memo):
        copied = type(self)()
        copied.__dict__ = copy.deepcopy(vars(self), memo)
        return copied


NETWORKS = {
    "plain": plain,
    "a hook and a mode of the user's": with_user_hook,
    "its own __getstate__": OwnState,
    "its own __deepcopy__": OwnCopy,
    "traced": lambda: torch.fx.symbolic_trace(plain()),
    "a scripted module inside": lambda: nn.Sequential(nn.Linear(4, 4), torch.jit.script(nn.Linear(4, 3))),
}


def save_and_load(net):
    file = BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "torch.save": save_and_load,
}


def description(net):
    hooks = {name: list(module._forward_hooks.values()) for name, module in net.named_modules()}
    modes = {name: module.training for name, module in net.named_modules()}
    attributes = {name: sorted(vars(module)) for name, module in net.named_modules()}
    return hooks, modes, attributes, {name: one.tolist() for name, one in net.state_dict().items()}


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_copy_made_during_a_run_is_one_of_the_network_before_it(kind, way):
    net, make = NETWORKS[kind](), COPIES[way]
    if kind == "a scripted module inside" and way in ("pickle", "torch.save"):
        pytest.skip("torch cannot pickle a ScriptModule")
    before = description(make(net))
    during = []

    def batches():
        for _ in range(3):
            yield torch.randn(16, 4)
            during.append(make(net))

    sw.compare({"net": net}, batches(), gram_batch=16, device="cpu").run(progress=False)
    assert len(during) == 3
    shared = make is copy.copy  # the parts of a shallow copy are those of the network
    for copied in during:
        found = description(copied)
        assert copied._forward_hooks == net._forward_hooks if shared else found == before
    x = torch.randn(5, 4)
    assert torch.equal(copy.deepcopy(during[0]).eval()(x), copy.deepcopy(net).eval()(x))
    assert description(make(net)) == before  # nothing is left behind


def test_a_copy_holds_nothing_of_the_run_alive():
    net = plain()
    copies, runs = [], []

    def batches():
        yield torch.randn(16, 4)
        copies.append(copy.deepcopy(net))
        yield torch.randn(16, 4)

    comparison = sw.compare({"net": net}, batches(), gram_batch=16, device="cpu")
    runs.append(weakref.ref(comparison._held.runner))
    comparison.run(progress=False)
    del comparison
    gc.collect()
    assert len(copies) == 1
    assert runs[0]() is None


def test_copies_of_networks_that_share_modules():
    trunk = nn.Linear(4, 4)
    nets = {"a": nn.Sequential(trunk, nn.ReLU()), "b": nn.Sequential(trunk, nn.Linear(4, 2))}
    during = []

    def batches():
        for _ in range(2):
            yield torch.randn(16, 4)
            during.append(copy.deepcopy(nets["b"]))

    sw.compare(nets, batches(), gram_batch=16, device="cpu").run(progress=False)
    assert [module.training for copied in during for module in copied.modules()] == [True] * 6
    assert not any(module._forward_hooks for copied in during for module in copied.modules())


def test_the_table_of_copyreg_is_as_before_after_the_next_run():
    class Own(nn.Linear):
        pass

    gc.collect()
    EvaluationMode(plain()).__enter__().__exit__()
    before = set(copyreg.dispatch_table)
    for cls in (Own, nn.Linear):
        net = nn.Sequential(cls(4, 4))
        sw.compare({"net": net}, [torch.randn(16, 4)], gram_batch=16, device="cpu").run(progress=False)
    gc.collect()
    EvaluationMode(net).__enter__().__exit__()
    assert set(copyreg.dispatch_table) == before
