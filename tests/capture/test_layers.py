"""Which layers are chosen."""

import pytest
from torch import nn

from simwidget.capture.layers import default_layers, layers_containing, layers_matching, named_layers
from simwidget.demo.network import FashionNet


def test_default_layers_of_a_residual_network():
    chosen = default_layers(FashionNet())
    assert chosen[:7] == [
        "stem.0", "stem.1", "stage1.0", "stage1.0.conv1", "stage1.0.bn1", "stage1.0.conv2", "stage1.0.bn2",
    ]  # fmt: skip
    assert "classifier" in chosen
    # activations, pooling, identity, and sequences that repeat their last child
    assert not {"stem", "stem.2", "stage1", "stage1.0.relu", "stage1.0.shortcut", "pool"} & set(chosen)


def test_default_layers_of_a_transformer():
    chosen = default_layers(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False))
    assert "layers.0" in chosen  # the block's output
    assert "layers.0.self_attn" in chosen
    assert "layers.0.self_attn.out_proj" not in chosen  # never called
    assert not any("dropout" in name for name in chosen)


def test_parametrised_modules():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), nn.Dropout())
    assert default_layers(model) == ["0"]


def test_networks_without_parameters():
    assert default_layers(nn.Sequential(nn.ReLU(), nn.Flatten())) == ["0", "1"]


def test_names_globs_and_substrings():
    net = FashionNet()
    assert layers_matching(net, ["stage1.0", "*.1.conv?"], "net") == [
        "stage1.0", "stage1.1.conv1", "stage1.1.conv2", "stage2.1.conv1", "stage2.1.conv2", "stage3.1.conv1",
        "stage3.1.conv2",
    ]  # fmt: skip
    assert layers_matching(net, "classifier", "net") == ["classifier"]
    assert layers_containing(net, ["stage1.0.c", "fier"], "net") == ["stage1.0.conv1", "stage1.0.conv2", "classifier"]


def test_a_module_under_two_names_is_one_layer():
    shared = nn.Linear(3, 3)
    model = nn.ModuleDict({"a": shared, "b": shared})
    assert list(named_layers(model)) == ["a", "b"]
    assert layers_matching(model, ["b"], "net") == ["b"]
    assert layers_matching(model, ["*"], "net") == ["a"]


def test_near_names_are_offered():
    with pytest.raises(ValueError, match="Did you mean 'classifier'"):
        layers_matching(FashionNet(), ["clasifier"], "net")
