"""A network under two names because an adapter was put in place is noted, and the note's advice tells them apart."""

import copy
import re
from collections import OrderedDict
from contextlib import contextmanager

import numpy as np
import pytest
import reference
import torch
from kinds.nets import Mlp, noise, seeded
from torch import nn

import simwidget as sw

pytestmark = pytest.mark.filterwarnings("ignore:models")
LAYERS = ("one", "two", "head")


class LoraLinear(nn.Module):
    """A linear layer with a low-rank update that can be turned off."""

    def __init__(self, base_layer, rank=2):
        super().__init__()
        self.base_layer = base_layer
        self.lora_A = nn.Linear(base_layer.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, base_layer.out_features, bias=False)
        self.is_on = True

    def forward(self, x):
        x, update = self.base_layer(x), self.lora_B(self.lora_A(x))
        return x + update if self.is_on else x


class Adapted(nn.Module):
    """Puts adapters into a network in place, as the usual library does."""

    def __init__(self, network, make=LoraLinear):
        super().__init__()
        torch.manual_seed(5)
        for name, child in [*network.named_children()]:
            if isinstance(child, nn.Linear):
                setattr(network, name, make(child))
        self.base_model = network

    @contextmanager
    def disable_adapter(self):
        for module in self.modules():
            module.is_on = False
        try:
            yield
        finally:
            for module in self.modules():
                module.is_on = True

    def forward(self, *args, **kwargs):
        return self.base_model(*args, **kwargs)


def compare(models, **options):
    inside = {name: [f"base_model.{one}" for one in LAYERS] for name in models}
    layers = {name: inside[name] if isinstance(model, Adapted) else LAYERS for name, model in models.items()}
    options = {"layers": layers, "measures": "cka", "device": "cpu", "gram_batch": 32, **options}
    return sw.compare(models, noise(32, 6), **options).run(progress=False)


def notes(result):
    return [note for note in result.notes if re.search("^models .* run", note)]


def outputs(network):
    """The layers' outputs in each batch, flattened."""
    network = reference.without_inplace(network).eval()
    found = []
    for batch in noise(32, 6):
        kept = []

        def keep(module, args, output, kept=kept):
            kept.append(output.numpy())

        handles = [network.get_submodule(name).register_forward_hook(keep) for name in LAYERS]
        with torch.no_grad():
            network(batch)
        for handle in handles:
            handle.remove()
        found.append(kept)
    return found


def expected(first, second):
    """CKA between the layers of two networks."""
    layers = [[*one, *other] for one, other in zip(outputs(first), outputs(second))]
    return reference.cka(layers)[: len(LAYERS), len(LAYERS) :]


def test_an_adapter_that_was_put_in_place_is_noted_and_turned_off():
    original = seeded(Mlp)
    base = copy.deepcopy(original)
    tuned = Adapted(base)
    result = compare({"base": base, "tuned": tuned})
    assert result.matrix().diagonal() == pytest.approx(1, abs=1e-12)
    assert notes(result) == [
        "models 'base' and 'tuned' run the same network, with the same adapter ('one.lora_A.weight'): to run 'base' "
        "without it, give forward={'base': f} with a function f(model, batch) that runs the model under "
        "disable_adapter() of 'tuned', or give a copy.deepcopy of the network that was made before the adapter was "
        "added"
    ]
    wanted = expected(original, base)
    assert wanted.diagonal().min() < 0.99

    def f(model, batch):
        with tuned.disable_adapter():
            return model(batch)

    for models, options in (
        ({"base": base, "tuned": tuned}, {"forward": {"base": f}}),
        ({"base": original, "tuned": tuned}, {}),
        ({"base": tuned, "tuned": tuned}, {"forward": {"base": f}}),
    ):
        followed = compare(models, **options)
        assert notes(followed) == []
        assert np.abs(followed.matrix("cka", ("base", "tuned")) - wanted).max() < 1e-5


def test_the_network_inside_runs_without_the_adapter_in_any_order():
    base = seeded(Mlp)
    tuned = Adapted(base)
    (note,) = notes(compare({"tuned": tuned, "base": base}))
    assert "to run 'base' without it, give forward={'base': f}" in note


def test_an_adapted_network_twice():
    """With an adapter inside, a module that is given twice may be meant as two networks."""
    tuned = Adapted(seeded(Mlp))
    (note,) = notes(compare({"base": tuned, "tuned": tuned}))
    assert "to run 'base' without it" in note
    assert notes(compare({"clean": tuned, "noisy": tuned}, inputs={"noisy": lambda batch: batch + 1})) == []


class Deltas(nn.Module):
    """An adapter of a name that nobody knows, and without a switch."""

    def __init__(self, base_layer):
        super().__init__()
        self.inner = base_layer
        self.delta = nn.Parameter(torch.randn(base_layer.out_features))

    def forward(self, x):
        return self.inner(x) + self.delta


def test_a_network_inside_another():
    """What was built into it is not known; the copy that was made before is another network."""
    original = seeded(Mlp)
    base = copy.deepcopy(original)
    tuned = Adapted(base, Deltas)
    assert notes(compare({"base": base, "tuned": tuned})) == [
        "models 'base' and 'tuned' run networks with the same parameters: a change that was made in place, such as "
        "an added adapter, is in both. To compare with the original network, give a copy.deepcopy that was made before "
        "the change"
    ]
    followed = compare({"base": original, "tuned": tuned})
    assert notes(followed) == []
    assert np.abs(followed.matrix("cka", ("base", "tuned")) - expected(original, base)).max() < 1e-5


def test_another_module_with_the_same_parameters():
    net = seeded(Mlp)
    other = Mlp()
    for name, parameter in net.named_parameters():
        layer, _, own = name.partition(".")
        setattr(getattr(other, layer), own, parameter)
    (note,) = notes(compare({"a": net, "b": other}))
    assert note.startswith("models 'a' and 'b' run networks with the same parameters")


class Headed(nn.Module):
    """A part of a network with an output layer of its own."""

    def __init__(self, network):
        super().__init__()
        self.one, self.two = network.one, network.two
        self.head = nn.Linear(9, 2)

    def forward(self, x):
        return self.head(self.two(self.one(x)))


def test_most_modules_of_an_adapted_network():
    base = seeded(Mlp)
    Adapted(base)
    (note,) = notes(compare({"base": base, "headed": Headed(base)}))
    assert "to run 'headed' without it, give forward={'headed': f} with a function" in note
    assert "that turns the adapter off" in note


def test_each_model_is_noted_once():
    base = seeded(Mlp)
    tuned = Adapted(base)
    found = notes(compare({"base": base, "other": seeded(Mlp, 1), "first": tuned, "second": tuned}))
    assert [note.partition(" run")[0] for note in found] == ["models 'base' and 'first'", "models 'base' and 'second'"]


@pytest.mark.parametrize(
    "make",
    [
        lambda net: net,
        copy.deepcopy,
        nn.DataParallel,
        lambda net: torch.compile(net, backend="eager"),
        Headed,
        lambda net: nn.Sequential(OrderedDict(one=net.one, two=net.two, head=net.head, more=nn.Linear(4, 4))),
        lambda net: seeded(Mlp, 1),
    ],
    ids=["the same", "a copy", "data-parallel", "compiled", "a shared part", "all parts and more", "another"],
)
def test_models_that_are_meant_to_be_the_same_or_differ_need_no_note(make):
    net = seeded(Mlp)
    assert notes(compare({"a": net, "b": make(net)})) == []


def test_networks_without_parameters_need_no_note():
    result = sw.compare({"a": nn.Sequential(nn.ReLU()), "b": nn.Sequential(nn.Tanh())}, noise(32, 6), device="cpu")
    assert notes(result.run(progress=False)) == []
