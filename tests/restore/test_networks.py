"""A run restores networks: modes, parameters, buffers, devices, gradients and hooks."""

import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.restore.networks import RestoredNetwork, single_device

CPU, META = torch.device("cpu"), torch.device("meta")
WAIT = 60


class Writes(nn.Module):
    """A network whose forward pass writes where the test says."""

    def __init__(self, write):
        super().__init__()
        self.part = nn.Linear(4, 4)
        self.register_buffer("count", torch.tensor([1.0, torch.nan]))
        self.register_buffer("cache", torch.arange(3), persistent=False)
        self.register_buffer("empty", None)
        self.write = write

    def forward(self, x):
        self.write(self)
        return self.part(x)


def replace_parameter(net):
    net.part.weight = nn.Parameter(torch.zeros(4, 4))


def replace_buffer(net):
    net.cache = torch.ones(7)


def fill_empty(net):
    net.empty = torch.ones(2)


def new_buffer(net):
    net.register_buffer("new", torch.ones(2))


def new_parameter(net):
    net.new = nn.Parameter(torch.ones(2))


def delete_buffer(net):
    if hasattr(net, "cache"):
        del net.cache


WRITES = {
    "in place": lambda net: net.count.add_(1),
    "through .data": lambda net: net.count.data.add_(1),
    "through numpy": lambda net: net.cache.numpy().fill(7),
    "replaced": replace_buffer,
    "replaced, then written": lambda net: (replace_buffer(net), net.cache.add_(1)),
    "written, then replaced": lambda net: (net.cache.add_(1), replace_buffer(net)),
    "filled": fill_empty,
    "made": new_buffer,
    "deleted": delete_buffer,
    "a parameter replaced": replace_parameter,
    "a parameter made": new_parameter,
}


def content(net):
    """Every slot of every module, which tensor is in it and its bits; and what would be saved."""
    slots = {"saved": list(net.state_dict())}
    for name, module in net.named_modules():
        for kind, held in (("parameter", module._parameters), ("buffer", module._buffers)):
            for key, one in held.items():
                slots[name, kind, key] = (id(one), None if one is None else one.detach().numpy().tobytes())
    return slots


@pytest.mark.parametrize("ending", ["finished", "failed"])
@pytest.mark.parametrize("write", WRITES)
def test_buffers_and_parameters_are_those_that_were_there(write, ending):
    net = Writes(WRITES[write])
    before = content(net)
    data = [torch.randn(32, 4), torch.randn(32, 4 if ending == "finished" else 5)]
    run = sw.compare({"net": net}, data, measures="cka", device="cpu")
    if ending == "failed":
        with pytest.raises(RuntimeError):
            run.run(progress=False)
    else:
        run.run(progress=False)
    assert content(net) == before


def test_a_moved_network_comes_back_as_the_very_tensors():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    net[0].weight.grad = torch.ones(4, 4)
    tensors = [*net.parameters(), *net.buffers()]
    known = [(id(one), one.data_ptr()) for one in tensors]
    gradient = net[0].weight.grad
    before = content(net)
    with RestoredNetwork(net, "net", META):
        assert single_device(net) == META
    assert content(net) == before
    assert [(id(one), one.data_ptr()) for one in [*net.parameters(), *net.buffers()]] == known
    assert net[0].weight.grad is gradient
    assert single_device(net) == CPU


class Converted(nn.Linear):
    """Is moved as between a CPU and an accelerator: its parameters stay the objects that they are."""

    def _apply(self, fn, recurse=True):
        for parameter in self.parameters():
            parameter.data = parameter.data.double()
            parameter.grad = None
        return self


def test_a_network_that_is_moved_in_its_own_parameters():
    net = nn.Sequential(Converted(4, 4))
    gradient = net[0].weight.grad = torch.ones(4, 4)
    before, where = content(net), net[0].weight.data_ptr()
    with RestoredNetwork(net, "net", META):
        assert net[0].weight.dtype == torch.float64
    assert content(net) == before
    assert net[0].weight.data_ptr() == where
    assert net[0].weight.grad is gradient


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_moved_network_with_torchscript_inside():
    net = nn.Sequential(nn.Linear(4, 4), torch.jit.script(nn.BatchNorm1d(4)))
    before = {name: one.clone() for name, one in net.state_dict().items()}
    with RestoredNetwork(net, "net", META):
        assert single_device(net) == META
    assert single_device(net) == CPU
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert torch.isfinite(net(torch.randn(8, 4))).all()


def test_a_network_that_cannot_be_moved_is_as_it_was():
    class Stubborn(nn.Linear):
        def _apply(self, fn, recurse=True):
            super()._apply(fn, recurse)
            raise RuntimeError("no")

    net = nn.Sequential(nn.Linear(2, 2), Stubborn(2, 2)).train()
    before = content(net)
    text = r"^model 'net' cannot be moved to meta \(no\): give device= where it can run$"
    with pytest.raises(RuntimeError, match=text), RestoredNetwork(net, "net", META):
        pytest.fail("it was lent")
    assert content(net) == before
    assert all(module.training for module in net.modules())


def test_a_network_on_several_devices_stays_there():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    assert single_device(net) is None
    with RestoredNetwork(net, "net", META):
        assert {one.device for one in net.parameters()} == {CPU, META}


class Merging(nn.Linear):
    """Merges something into its weights when it is told to evaluate, as some adapters do."""

    def train(self, mode=True):
        self.weight.data.add_(1)
        self.bias.requires_grad_(mode)
        return super().train(mode)


def test_no_mode_method_of_a_network_runs():
    net = nn.Sequential(Merging(4, 4), nn.Dropout(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    net[2].training = False
    modes = [module.training for module in net.modules()]
    before = content(net)
    seen = []
    net[1].register_forward_pre_hook(lambda module, args: seen.append([one.training for one in net.modules()]))
    sw.compare({"net": net}, [torch.randn(32, 4)] * 2, measures="cka", device="cpu").run(progress=False)
    assert seen == [[False] * 5] * 2
    assert [module.training for module in net.modules()] == modes == [True, True, True, False, True]
    assert content(net) == before
    assert net[0].bias.requires_grad


def test_a_parameter_that_the_forward_pass_writes_is_named():
    net = Writes(lambda net: net.part.weight.data.add_(0))
    with RestoredNetwork(net, "net", CPU) as restored:
        assert restored.modified() == []
        with torch.no_grad():
            net.part.bias.add_(1)
            net.count.add_(1)  # put back, so not named
        assert restored.modified() == ["part.bias"]

    def write(net):
        with torch.no_grad():
            net.part.weight.add_(1)

    with pytest.warns(UserWarning, match="writes into its own parameter 'part.weight', and that is not undone"):
        sw.compare({"net": Writes(write)}, [torch.randn(32, 4)], measures="cka", device="cpu").run(progress=False)


def test_gradients_modes_and_hooks_of_the_user():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    net(torch.randn(3, 4)).sum().backward()
    gradients = [one.grad.clone() for one in net.parameters()]
    fired = []
    handle = net[0].register_forward_hook(lambda *_: fired.append(torch.is_grad_enabled()))
    with torch.enable_grad():
        sw.compare({"net": net}, [torch.randn(32, 4)], measures="cka", device="cpu").run(progress=False)
        assert torch.is_grad_enabled()
    with torch.no_grad():
        sw.compare({"net": net}, [torch.randn(32, 4)], measures="cka", device="cpu").run(progress=False)
        assert not torch.is_grad_enabled()
    assert fired == [False, False]
    assert all(torch.equal(one.grad, was) for one, was in zip(net.parameters(), gradients))
    assert list(net[0]._forward_hooks) == [handle.id]
    assert not net[1]._forward_hooks


class Watched(dict):
    """Registered tensors that count what is written and refuse that anything is taken out."""

    writes = 0

    def __setitem__(self, name, tensor):
        type(self).writes += 1
        super().__setitem__(name, tensor)

    def clear(self):
        raise AssertionError("cleared")

    pop = popitem = __delitem__ = clear


def test_a_run_that_changed_nothing_writes_nothing(monkeypatch):
    monkeypatch.setattr(Watched, "writes", 0)
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    for module in net.modules():
        module._parameters, module._buffers = Watched(module._parameters), Watched(module._buffers)
    attributes = [set(vars(module)) for module in net.modules()]
    set_attributes = []
    monkeypatch.setattr(nn.Module, "__setattr__", lambda self, name, value: set_attributes.append(name))
    with RestoredNetwork(net, "net", CPU), torch.no_grad():
        net(torch.randn(8, 4))
    assert Watched.writes == 0
    assert set_attributes == []
    assert [set(vars(module)) for module in net.modules()] == attributes


def test_only_what_differs_is_written_back(monkeypatch):
    monkeypatch.setattr(Watched, "writes", 0)
    net = nn.Linear(4, 4)
    net._parameters = Watched(net._parameters)
    weight = net.weight
    with RestoredNetwork(net, "net", CPU):
        net.weight = nn.Parameter(torch.zeros(4, 4))
        assert Watched.writes == 1
    assert net.weight is weight
    assert Watched.writes == 2


def test_a_reader_of_all_tensors_is_not_disturbed_by_the_restoring():
    """Another thread may be in the middle of `state_dict()` as a run ends, which a changed size would break off."""
    net = nn.Linear(4, 4)
    with RestoredNetwork(net, "net", CPU):
        net.register_buffer("made", torch.ones(2))
        reader = iter(net._buffers.items())
        parameters = iter(net._parameters.items())
        assert next(parameters)[0] == "weight"
        net.weight = nn.Parameter(torch.zeros(4, 4))
    assert [name for name, _ in reader] == ["made"]
    assert [name for name, _ in parameters] == ["bias"]
    assert not net._buffers


class Holds(nn.Module):
    """A network with a buffer of any kind, which its forward pass may change."""

    def __init__(self, buffer, change=lambda buffer: None):
        super().__init__()
        self.part = nn.Linear(4, 4)
        self.register_buffer("held", buffer)
        self.change = change

    def forward(self, x):
        self.change(self.held)
        return self.part(x)


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:The PyTorch API of nested", "ignore:ComplexHalf")
@pytest.mark.parametrize(
    "made",
    [
        lambda: torch.eye(4).to_sparse(),
        lambda: torch.eye(4).to_sparse_csr(),
        lambda: torch.empty(3, device="meta"),
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        lambda: torch.nested.nested_tensor([torch.zeros(2, 3)] * 2, layout=torch.jagged),
        lambda: torch.zeros(3, dtype=torch.complex32),
    ],
    ids=["coo", "csr", "meta", "nested", "jagged", "complex32"],
)
def test_a_buffer_of_any_kind_does_not_fail_the_run(made):
    net = Holds(made())
    held = net.held
    result = sw.compare({"net": net}, [torch.randn(16, 4)] * 2, measures="cka", layers=["part"], device="cpu").run(
        False
    )
    assert result.complete
    assert net.held is held


@pytest.mark.parametrize(
    "change",
    [
        lambda buffer: buffer.resize_(5),
        lambda buffer: setattr(buffer, "data", torch.zeros(7)),
        lambda buffer: buffer.data.fill_(9),
        lambda buffer: buffer.unsqueeze_(0),
    ],
    ids=["resized", "other data", "filled", "another dimension"],
)
def test_a_buffer_whose_shape_was_changed_is_as_it_was(change):
    net = Holds(torch.arange(3.0), change)
    sw.compare({"net": net}, [torch.randn(16, 4)], measures="cka", layers=["part"], device="cpu").run(False)
    assert net.held.tolist() == [0, 1, 2]


def test_a_sparse_buffer_that_was_written_is_as_it_was():
    net = Holds(torch.eye(4).to_sparse(), lambda buffer: buffer._values().fill_(7))
    sw.compare({"net": net}, [torch.randn(16, 4)], measures="cka", layers=["part"], device="cpu").run(False)
    assert torch.equal(net.held.to_dense(), torch.eye(4))
