"""What a run borrows is given back as it was."""

import random
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import simwidget as sw
from simwidget.restore.fused_layers import fused_layers_disabled
from simwidget.restore.networks import RestoredNetwork, single_device
from simwidget.restore.randomness import RandomOpDetector

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


def states():
    name, keys, *rest = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), (name, keys.tolist(), *rest)


DRAWS = {
    "rand": lambda x: torch.rand(3),
    "randn_like": torch.randn_like,
    "randperm": lambda x: torch.randperm(5),
    "randint": lambda x: torch.randint(3, (4,)),
    "normal_": lambda x: torch.empty(3).normal_(),
    "bernoulli": lambda x: torch.bernoulli(torch.full((3,), 0.5)),
    "multinomial": lambda x: torch.multinomial(x.abs(), 2),
    "dropout": lambda x: F.dropout(x, 0.5, True),
    "alpha dropout in place": lambda x: F.alpha_dropout(x.clone(), 0.5, True, True),
    "rrelu": lambda x: F.rrelu(x, training=True),
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], dropout_p=0.3),
    "gumbel": F.gumbel_softmax,
    "gamma": lambda x: torch.distributions.Gamma(torch.ones(3), 1.0).sample(),
    "recurrent": lambda x: nn.LSTM(4, 4, 2, dropout=0.5)(x),
    "weights": lambda x: nn.Linear(3, 3),
}


class Draw(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.part = nn.Linear(4, 4)
        self.draw = draw

    def forward(self, x):
        self.draw(x)
        return self.part(x)


@pytest.mark.parametrize("start", [False, True], ids=["run", "start"])
@pytest.mark.parametrize("name", DRAWS)
def test_what_a_network_draws_is_drawn_again(name, start):
    net, data = Draw(DRAWS[name]), [torch.randn(32, 4) for _ in range(3)]
    before = states()
    DRAWS[name](data[0])
    assert states() != before
    before = states()
    comparison = sw.compare({"net": net}, data, measures="cka", device="cpu")
    if start:
        comparison.start().wait(WAIT)
    else:
        comparison.run(progress=False)
    assert states() == before


@pytest.mark.parametrize("ending", ["finished", "failed", "stopped"])
def test_everything_drawn_in_a_run_is_drawn_again(ending):
    def draw(x):
        random.random(), np.random.rand(), torch.rand(1)

    def loader():
        for batch in range(3):
            draw(None)
            yield torch.randn(32, 5 if ending == "failed" and batch == 1 else 4)
            if ending == "stopped":
                comparison.stop()

    net = Draw(draw)
    before = states()
    comparison = sw.compare({"net": net}, loader(), measures="cka", device="cpu")
    if ending == "failed":
        with pytest.raises(RuntimeError):
            comparison.run(progress=False)
    else:
        comparison.run(progress=False)
    assert comparison.state == ending
    assert states() == before


def test_what_the_loader_draws_in_the_background_stays_drawn():
    def loader():
        for _ in range(4):
            yield torch.randn(32, 4)

    net = Draw(torch.randn_like)
    torch.manual_seed(7)
    for _ in loader():
        pass
    after = torch.get_rng_state()
    torch.manual_seed(7)
    sw.compare({"net": net}, loader(), measures="cka", device="cpu").start().wait(WAIT)
    assert torch.equal(torch.get_rng_state(), after)


class Apart:
    """Draws on another thread, as another cell of a notebook does while a forward pass is under way."""

    def __init__(self, own, others):
        self.passes = 0
        self.own, self.others = own, others

    def __call__(self, x):
        self.passes += 1
        self.own()
        if self.passes in self.others:
            thread = threading.Thread(target=torch.rand, args=(3,))
            thread.start()
            thread.join()


@pytest.mark.parametrize(("own", "others"), [("nothing", (1, 2)), ("a generator", (2, 3))])
def test_what_another_thread_draws_meanwhile_stays_drawn(own, others):
    """Of a network that draws nothing itself, or from a generator that it has."""
    generator = torch.Generator()
    net = Draw(Apart((lambda: None) if own == "nothing" else (lambda: torch.rand(3, generator=generator)), others))
    data = [torch.randn(32, 4) for _ in range(3)]
    before = torch.get_rng_state()
    for _ in others:
        torch.rand(3)
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    sw.compare({"net": net}, data, measures="cka", device="cpu").start().wait(WAIT)
    assert torch.equal(torch.get_rng_state(), after)


def test_a_forward_pass_that_fails_in_the_background_gives_its_numbers_back():
    def fail(x):
        torch.rand(3)
        raise RuntimeError("no")

    net, data = Draw(fail), [torch.randn(32, 4)]
    before = states()
    with pytest.raises(RuntimeError, match=r"^no"):
        sw.compare({"net": net}, data, measures="cka", device="cpu").start().wait(WAIT)
    assert states() == before


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_seen(name):
    with RandomOpDetector() as detector:
        torch.zeros(3) + 1
        F.dropout(torch.zeros(3), 0.5, training=False)
        assert not detector.seen
        DRAWS[name](torch.ones(3, 4))
    assert detector.seen


@pytest.fixture
def _fast_path():
    before = torch.backends.mha.get_fastpath_enabled()
    yield
    torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.usefixtures("_fast_path")
@pytest.mark.parametrize("was", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_switch_of_fused_layers(was, fails):
    net = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    seen = []

    def look(module, args):
        seen.append(torch.backends.mha.get_fastpath_enabled())
        if fails:
            raise RuntimeError("no")

    net.linear1.register_forward_pre_hook(look)
    torch.backends.mha.set_fastpath_enabled(was)
    comparison = sw.compare({"net": net}, [torch.randn(32, 3, 4)], measures="cka", device="cpu")
    if fails:
        with pytest.raises(RuntimeError, match=r"^no"):
            comparison.run(progress=False)
    else:
        assert {"linear1", "self_attn"} <= set(comparison.run(progress=False).layers("net"))
    assert seen == [False]
    assert torch.backends.mha.get_fastpath_enabled() == was


@pytest.mark.usefixtures("_fast_path")
@pytest.mark.parametrize("was", [True, False])
def test_the_switch_comes_back(was):
    torch.backends.mha.set_fastpath_enabled(was)
    seen = []

    def fail():
        with fused_layers_disabled():
            seen.append(torch.backends.mha.get_fastpath_enabled())
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match=r"^no$"):
        fail()
    assert seen == [False]
    assert torch.backends.mha.get_fastpath_enabled() == was


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


class Noise(nn.Module):
    """Keeps the first random number of each pass."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.drawn = []

    def forward(self, x):
        noise = torch.rand_like(x)
        self.drawn.append(noise[0, 0].item())
        return self.linear(x + noise)


@pytest.mark.parametrize("background", [False, True], ids=["run", "start"])
def test_a_model_that_draws_draws_anew_in_every_batch(background):
    """One noise in all batches would make them depend on one another."""
    models = {"a": Noise(), "b": Noise()}
    comparison = sw.compare(models, [torch.randn(64, 6)] * 4, device="cpu")
    if background:
        comparison.start().wait(60)
    else:
        comparison.run(progress=False)
    for model in models.values():
        assert len(set(model.drawn)) == 4
