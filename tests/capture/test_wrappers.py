"""Modules that wrap others: their names are no part of a layer's name, and they are no layers of their own."""

import numpy as np
import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.capture.layers import default_layers, layers_containing, layers_matching, named_layers
from simwidget.capture.wrappers import clean_name


class Sharded(nn.Module):
    """As FSDP1's wrapper: the weights inside are right only while it runs, and it hides the signature."""

    def __init__(self, module):
        super().__init__()
        self._fsdp_wrapped_module = module
        with torch.no_grad():
            for parameter in module.parameters(recurse=False):
                parameter.neg_()

    def forward(self, *args, **kwargs):
        own = list(self._fsdp_wrapped_module.parameters(recurse=False))
        for parameter in own:
            parameter.data = -parameter.data
        output = self._fsdp_wrapped_module(*args, **kwargs)
        for parameter in own:
            parameter.data = -parameter.data
        return output


class Checkpointed(nn.Module):
    """As the wrapper of activation checkpointing."""

    def __init__(self, module):
        super().__init__()
        self._checkpoint_wrapped_module = module

    def forward(self, *args, **kwargs):
        return torch.utils.checkpoint.checkpoint(self._checkpoint_wrapped_module, *args, use_reentrant=False, **kwargs)


def checkpointed_by_torch(module):
    wrapper = pytest.importorskip("torch.distributed.algorithms._checkpoint.checkpoint_wrapper")
    return wrapper.checkpoint_wrapper(module)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc, self.act = nn.Linear(width, width), nn.ReLU()

    def forward(self, x):
        return x + self.act(self.fc(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Linear(6, 8)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 3)
        self.gain = nn.Parameter(torch.rand(8))

    def forward(self, x, scale):
        return self.head(self.blocks(self.stem(x) * self.gain)) * scale


LAYERS = ["stem", "blocks.0", "blocks.0.fc", "blocks.1", "blocks.1.fc", "head"]


def wrapped_everywhere(*wraps):
    """The network in each wrapper, and in it each of its modules that has parameters or submodules."""

    def wrap(module):
        for one in wraps:
            module = one(module)
        return module

    def dress(module):
        for name, child in list(module.named_children()):
            if not isinstance(child, nn.ReLU):
                dress(child)
                setattr(module, name, wrap(child))

    net = Net()
    dress(net)
    return wrap(net)


WRAPS = {
    "FSDP": [Sharded],
    "checkpoint": [Checkpointed],
    "torch's checkpoint": [checkpointed_by_torch],
    "both": [checkpointed_by_torch, Sharded],
    "compiled inside": [lambda module: torch.compile(module, backend="eager"), Checkpointed, Sharded],
}


@pytest.mark.parametrize("wraps", WRAPS.values(), ids=WRAPS)
def test_layers_are_those_of_the_bare_network(wraps):
    net = wrapped_everywhere(*wraps)
    assert list(named_layers(net)) == list(named_layers(Net()))
    assert default_layers(net) == LAYERS
    assert sw.SimilarityModel(net).model_name == "Net"


@pytest.mark.parametrize("wraps", WRAPS.values(), ids=WRAPS)
def test_numbers_are_those_of_the_bare_network(wraps):
    """The network takes two arguments, which a wrapper's own signature does not say."""
    batches = [(torch.randn(32, 6), torch.rand(32, 1)) for _ in range(3)]
    options = {"device": "cpu", "measures": "cka"}
    bare = sw.compare({"net": Net()}, batches, **options).run(False)
    result = sw.compare({"net": wrapped_everywhere(*wraps)}, batches, **options).run(False)
    assert result.layers("net") == bare.layers("net")
    assert sorted(result.layers("net")) == sorted(LAYERS)
    np.testing.assert_array_equal(result.matrix("cka"), bare.matrix("cka"))
    assert result.provenance["models"]["net"]["class"] == "Net"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of FSDP, about its only process
@pytest.mark.parametrize("use_orig_params", [False, True])
def test_fsdp_itself(use_orig_params):
    """Without `use_orig_params` the layers have no parameters of their own."""
    import torch.distributed as dist
    from torch.distributed.fsdp import FullyShardedDataParallel
    from torch.distributed.fsdp.wrap import ModuleWrapPolicy

    batches = [(torch.randn(32, 6), torch.rand(32, 1)) for _ in range(3)]
    bare = sw.compare({"net": Net()}, batches, device="cpu").run(False)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        wrapped = FullyShardedDataParallel(
            Net(),
            auto_wrap_policy=ModuleWrapPolicy({Block}),
            device_id=torch.device("cpu"),
            use_orig_params=use_orig_params,
        )
        assert default_layers(wrapped) == LAYERS
        result = sw.compare({"net": wrapped}, batches, device="cpu").run(False)
    finally:
        dist.destroy_process_group()
    assert result.layers("net") == bare.layers("net")
    np.testing.assert_array_equal(result.matrix("dcka"), bare.matrix("dcka"))


@pytest.mark.parametrize(
    "pattern", ["blocks.0.fc", "_fsdp_wrapped_module.blocks._fsdp_wrapped_module.0._fsdp_wrapped_module.fc"]
)
def test_names_with_and_without_the_wrapper_choose_a_layer(pattern):
    net = wrapped_everywhere(Sharded)
    assert layers_matching(net, [pattern], "net") == ["blocks.0.fc"]
    assert layers_matching(net, [pattern + "._fsdp_wrapped_module"], "net") == ["blocks.0.fc"]
    assert layers_matching(net, [pattern.replace("0", "?")], "net") == ["blocks.0.fc", "blocks.1.fc"]
    assert layers_containing(net, [pattern], "net") == ["blocks.0.fc"]
    options = {"representation": {pattern: "flatten", "head": "mean", "*": "flatten"}, "batch_dim": {pattern: 0}}
    for confounder in (pattern, f"net:{pattern}"):
        comparison = sw.compare({"net": net}, [], layers=["head", pattern], confounder=confounder, **options)
        assert comparison.result.layers("net") == ("blocks.0.fc", "head")
        assert comparison.result.provenance["options"]["confounder"] == [clean_name(confounder)]


@pytest.mark.filterwarnings("ignore:the batch has 2 inputs")
def test_every_module_is_a_layer_once():
    net = wrapped_everywhere(checkpointed_by_torch, Sharded)
    chosen = layers_matching(net, ["*"], "net")
    assert chosen == list(named_layers(Net()))
    batches = [(torch.randn(32, 6), torch.rand(32, 1))]
    result = sw.compare({"net": net}, batches, layers=chosen, device="cpu").run(False)
    assert sorted(result.layers("net")) == sorted(chosen)


def test_errors_show_the_name_without_wrappers():
    net = wrapped_everywhere(Sharded)
    with pytest.raises(ValueError, match=r"Did you mean 'blocks\.0\.fc'"):
        layers_matching(net, ["blocks.0.fcc"], "net")
    lazy = Sharded(nn.Sequential(Sharded(nn.Linear(2, 2)), Checkpointed(nn.LazyLinear(2))))
    with pytest.raises(ValueError, match=r"^layer '1' of 'net' is lazy"):
        sw.SimilarityModel(lazy, "net")


def test_a_wrapped_module_without_submodules_has_no_layers():
    with pytest.raises(ValueError, match="'Linear' has no layers: it has no submodules"):
        sw.SimilarityModel(Sharded(nn.Linear(2, 2)))


def test_other_names_stay_as_they_are():
    for name in ("blocks.0.conv", "layer1.", "a:b.c", "my_orig_mod.x", "", "*.attn"):
        assert clean_name(name) == name
