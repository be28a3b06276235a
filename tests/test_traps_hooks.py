"""One test for every way in which existing tools go wrong over what their hooks take of a network and leave behind.

As in `test_traps.py`, each has a patch in `tests/mutants/` that undoes the fix.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pytest
import reference
import torch
from passes import batches, expected_cka, within
from torch import nn

import simwidget as sw

pytestmark = pytest.mark.filterwarnings("ignore:.*scatter widely")


@pytest.mark.parametrize("n", [64, 16], ids=["one forward pass a Gram matrix", "joined forward passes"])
def test_in_place_relu_after_a_hooked_layer(n):
    model = reference.mlp([8, 16, 4], inplace=True)
    result = within(model, batches(4, n), layers=["0", "1", "2"])
    joined = [torch.cat(batches(4, n))] if n == 16 else batches(4, n)
    expected = expected_cka(model, joined, ["0", "1", "2"])
    assert expected[0, 1] < 0.95  # overwritten, the two layers would agree to 1.000
    assert np.abs(result.matrix() - expected).max() < 1e-4


class Backwards(nn.Module):
    """Runs its layers in another order than it declares them."""

    def __init__(self):
        super().__init__()
        self.a_last = nn.Linear(12, 3)
        self.b_first = nn.Linear(8, 5)
        self.c_middle = nn.Linear(5, 12)

    def forward(self, x):
        return self.a_last(torch.tanh(self.c_middle(torch.tanh(self.b_first(x)))))


def test_rows_carry_their_own_names():
    model, data = Backwards(), batches()
    result = within(model, data)
    assert result.layers("net") == ("b_first", "c_middle", "a_last")
    kept = [reference.representations(model, x, ["a_last", "b_first", "c_middle"]) for x in data]
    expected = reference.cka([[one[name] for name in result.layers("net")] for one in kept])
    assert np.abs(result.matrix() - expected).max() < 1e-5


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(8, 5)
        self.unused = nn.Linear(8, 5)

    def forward(self, x):
        return self.used(x)


def test_listed_layer_that_never_runs():
    result = within(Unused(), batches(), layers=["unused", "used"])
    assert result.layers("net") == ("used", "unused")
    assert result.matrix()[0, 0] == pytest.approx(1)
    assert np.isnan(result.matrix()[1]).all()
    assert np.isnan(result.matrix()[:, 1]).all()
    assert result.reasons("cka", "net") == {"unused": "never ran"}


def test_unknown_layer_names_fail_at_once():
    model = nn.Sequential(OrderedDict(stem=nn.Linear(8, 5), layer3=nn.Linear(5, 5)))
    with pytest.raises(ValueError, match=r"no layer of 'net' matches 'layer33'. Did you mean 'layer3'"):
        sw.SimilarityModel(model, "net", layers=["stem", "layer33"])
    with pytest.raises(ValueError, match=r"no layer of 'net' matches 'block.\*'"):
        sw.SimilarityModel(model, "net", layers=["block.*"])
    with pytest.raises(ValueError, match="no layer of 'net' has 'conv' in its name"):
        sw.SimilarityModel(model, "net", layers_to_include=["conv"])


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Linear(8, 8)

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))))


def test_module_that_runs_several_times():
    model, data = Twice(), batches()
    names = ["first", "relu", "second"]
    result = within(model, data, layers=names)
    assert result.layers("net") == ("first", "relu", "second", "relu#1")
    assert np.abs(result.matrix() - expected_cka(model, data, names)).max() < 1e-5


def test_same_model_given_twice():
    model = reference.mlp([8, 16, 4])
    passes = []
    handle = model.register_forward_hook(lambda *_: passes.append(1))
    result = sw.compare(model, model, batches(), layers_x=["0", "2"], layers_y=["2"], device="cpu").run(False)
    handle.remove()
    assert len(passes) == 3  # one forward pass a batch serves both sides
    expected = expected_cka(model, batches(), ["0", "2"])
    assert np.abs(result.matrix() - expected[:, 1:]).max() < 1e-5


@dataclass
class Output:
    note: str
    hidden: torch.Tensor


class Structured(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.inner = nn.Linear(8, 6)
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(self.inner(x))


class Holder(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.part = Structured(wrap)

    def forward(self, x):
        self.part(x)
        return x


WRAPS = {
    "tuple": lambda y: (y.argmax(1), y),
    "list": lambda y: [torch.zeros(2, 3), [y]],
    "dict": lambda y: {"ids": y.argmax(1), "hidden": y},
    "dataclass": lambda y: Output("text", y),
    "lstm": lambda y: (y, (y.mean(0), y.sum(0))),
    "none": lambda y: (None, y),
}


@pytest.mark.parametrize("kind", WRAPS)
def test_structured_outputs(kind):
    """The first floating tensor whose first dimension is the batch is the layer's output."""
    model, data = Holder(WRAPS[kind]), batches()
    result = within(model, data, layers=["part", "part.inner"])
    assert not result.reasons("cka", "net")
    assert result.matrix() == pytest.approx(np.ones((2, 2)), abs=1e-6)


def test_output_without_a_representation_has_a_reason():
    result = within(Holder(lambda y: y.argmax()), batches(), layers=["part", "part.inner"])
    assert "int64 ()" in result.reasons("cka", "net")["part"]
    assert result.matrix()[0, 0] == pytest.approx(1)


def state_of(model):
    return (
        [module.training for module in model.modules()],
        [len(module._forward_hooks) for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [value.clone() for value in model.state_dict().values()],
    )


@pytest.mark.parametrize("ending", ["finished", "failed", "stopped"])
def test_models_are_left_as_they_were(ending):
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2)).train()
    model[1].eval()
    model[3].weight.requires_grad_(False)
    before = state_of(model)
    graphs = []

    def look(output):
        graphs.append(output.requires_grad)
        return output

    def loader():
        yield from batches(2)
        if ending == "failed":
            raise RuntimeError("the disk is gone")
        if ending == "stopped":
            comparison.stop()
        yield from batches(2)

    comparison = sw.compare({"net": model}, loader(), device="cpu", representation=look)
    if ending == "failed":
        with pytest.raises(RuntimeError, match="the disk is gone"):
            comparison.run(False)
    else:
        comparison.run(False)
    assert comparison.state == ending
    assert comparison.result.n_samples >= 128
    assert graphs
    assert not any(graphs)
    for was, is_now in zip(before, state_of(model)):
        assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(was, is_now))
    assert torch.is_grad_enabled()


def whole(model):
    return torch.compile(model, backend="eager")


def in_place(model):
    model.compile(backend="eager")
    return model


def part(model):
    model[0] = torch.compile(model[0], backend="eager")
    return model


@pytest.mark.parametrize("compiled", [whole, in_place, part])
def test_compiled_models(compiled):
    plain = nn.Sequential(reference.mlp([8, 16, 8]), nn.Linear(8, 4))
    data = batches()
    names = ["0.0", "0.2", "1"]
    expected = expected_cka(plain, data, names)
    model = compiled(plain)
    model(data[0])  # compiled before there are hooks
    result = within(model, data, layers=names)
    assert not result.reasons("cka", "net")
    assert np.abs(result.matrix() - expected).max() < 1e-5


class Wrapper(nn.Module):
    """Returns what its last child gave, the very tensor."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return self.linear(x)


class Overwriter(Wrapper):
    """Returns its child's tensor as well, with something else in it."""

    def forward(self, x):
        return self.linear(x).relu_()


def test_overwritten_output_is_told_from_a_repeated_one():
    """Both are one tensor; PyTorch's version counter, which inference mode hides, tells them apart."""
    result = within(nn.Sequential(Wrapper(), Overwriter()), batches())
    assert result.layers("net") == ("0.linear", "1.linear", "1")
    assert result.matrix()[1, 2] < 0.99
    asked_for = within(nn.Sequential(Wrapper(), Overwriter()), batches(), layers=["*"])
    assert asked_for.layers("net") == ("0.linear", "0", "1.linear", "1")
