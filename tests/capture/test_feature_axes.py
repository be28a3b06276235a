"""Which dimension of an output holds the features."""

import pytest
import torch
from torch import nn

from simwidget.capture.feature_axes import NO_HINTS, FeatureAxes, feature_hints
from simwidget.capture.tokens import Tokens


def hints_of(module):
    return feature_hints(nn.Sequential(module))["0"]


def axis_of(module, output, keeps_shape=False):
    return FeatureAxes().find(output, hints_of(module), keeps_shape).axis


@torch.no_grad()
def numbered(module):
    """Every weight is zero, and the last bias of a module counts its features: outputs vary along these alone."""
    for one in module.parameters():
        one.zero_()
    for name, one in module.named_parameters():
        if "bias" in name:
            one.copy_(torch.arange(1.0, 1 + one.numel()).reshape(one.shape) / 10)
    return module.eval()


@torch.no_grad()
def varies_along(output):
    (dim,) = (d for d in range(output.ndim) if not torch.allclose(output, output.narrow(d, 0, 1)))
    return dim


C = 6
SHAPES = {
    "Conv1d": (lambda: nn.Conv1d(3, C, 1), (2, 3)),
    "Conv2d": (lambda: nn.Conv2d(3, C, 1), (2, 3)),
    "Conv3d": (lambda: nn.Conv3d(3, C, 1), (2, 3)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, C, 1), (2, 3)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(C), (2, C)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(C), (2, C)),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(C), (2, C)),
    "GroupNorm": (lambda: nn.GroupNorm(2, C), (2, C)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(C, affine=True), (2, C)),
}
SPACE = {"1d": 1, "2d": 2, "3d": 3}


@pytest.mark.parametrize("side", [4, C], ids=["other sides", "as many places as features"])
@pytest.mark.parametrize("kind", SHAPES)
def test_channels_come_first(kind, side):
    make, head = SHAPES[kind]
    module = numbered(make())
    output = module(torch.randn(*head, *[side] * SPACE.get(kind[-2:], 2)))
    assert axis_of(module, output) == varies_along(output) == 1


@pytest.mark.parametrize("side", [4, C], ids=["other sides", "as many places as features"])
@pytest.mark.parametrize("ndim", [2, 3, 4])
@pytest.mark.parametrize("make", [lambda: nn.Linear(3, C), lambda: nn.Sequential(nn.Linear(3, C), nn.LayerNorm(C))])
def test_linear_layers_and_norms_have_theirs_last(make, ndim, side):
    module = numbered(make())
    output = module(torch.randn(2, *[side] * (ndim - 2), 3))
    assert axis_of(module, output) == varies_along(output) == ndim - 1


@pytest.mark.parametrize("tokens", [4, C])
def test_attention_embeddings_and_recurrent_layers(tokens):
    attention = numbered(nn.MultiheadAttention(C, 2, batch_first=True))
    x = torch.randn(2, tokens, C)
    output = attention(x, x, x)[0]
    assert axis_of(attention, output) == varies_along(output) == 2
    embedding = nn.Embedding(9, C)
    assert axis_of(embedding, embedding(torch.zeros(2, tokens, dtype=torch.long))) == 2
    for module in (nn.GRU(3, C // 2, bidirectional=True), nn.LSTM(3, 2 * C), nn.RNN(3, C)):
        output = module(torch.randn(tokens, 2, 3))[0].transpose(0, 1)
        assert axis_of(module, output) == 2
    projected = nn.LSTM(3, 2 * C, proj_size=C)
    assert axis_of(projected, torch.zeros(2, tokens, C)) == 2


@pytest.mark.parametrize("module", [nn.AvgPool1d(2), nn.MaxPool1d(2), nn.AdaptiveAvgPool1d(3), nn.AdaptiveMaxPool1d(3)])
def test_pooling_along_a_line_has_its_channels_first(module):
    assert axis_of(module, module(torch.randn(2, 5, 8))) == 1


def test_a_norm_over_channels_that_come_first():
    from timm.layers import LayerNorm2d as OfTimm
    from torchvision.models.convnext import LayerNorm2d as OfTorchvision

    for kind in (OfTimm, OfTorchvision):
        module = numbered(kind(C))
        for side in (4, C):
            output = module(torch.randn(2, C, side, side))
            assert axis_of(module, output) == varies_along(output) == 1


def test_a_norm_without_a_mean_over_maps_with_channels_last():
    assert axis_of(nn.RMSNorm(C), torch.zeros(2, 4, 4, C)) == 3


def swin(side):
    from torchvision.models.swin_transformer import SwinTransformerBlock

    return SwinTransformerBlock(8, 2, [4, 4], [0, 0]), (2, side, side, 8), 3


def convnext_of_torchvision(side):
    from torchvision.models.convnext import CNBlock

    return CNBlock(8, 1.0, 0.0), (2, 8, side, side), 1


def convnext_of_timm(side):
    from timm.models.convnext import ConvNeXtBlock

    return ConvNeXtBlock(8), (2, 8, side, side), 1


def bottleneck(side):
    from torchvision.models.resnet import Bottleneck

    return Bottleneck(8, 2), (2, 8, side, side), 1


def swin_of_timm(side):
    from timm.models.swin_transformer import SwinTransformerBlock

    return SwinTransformerBlock(8, (side, side), num_heads=2, window_size=4), (2, side, side, 8), 3


@pytest.mark.parametrize("side", [4, 8], ids=["other sides", "as wide as it has features"])
@pytest.mark.parametrize("make", [swin, swin_of_timm, convnext_of_torchvision, convnext_of_timm, bottleneck])
def test_blocks_of_libraries(make, side):
    """A block that keeps its input's shape has its features where its first module has them."""
    block, shape, expected = make(side)
    with torch.no_grad():
        output = block.eval()(torch.randn(shape))
    assert output.shape == shape
    assert axis_of(block, output, keeps_shape=True) == expected


@pytest.mark.parametrize(
    ("shape", "axis"), [((5,), 0), ((5, 4), 1), ((5, 4, 3), 2), ((5, 4, 3, 2), 1), ((5, 4, 3, 2, 6), 1)]
)
def test_where_nothing_tells(shape, axis):
    assert axis_of(nn.ReLU(), torch.zeros(shape)) == axis
    assert FeatureAxes().find(torch.zeros(shape), NO_HINTS).axis == axis
    assert axis_of(nn.Linear(2, 99), torch.zeros(shape)) == axis  # a number that fits nowhere


def test_an_activation_has_the_features_of_the_layer_before():
    axes = FeatureAxes()
    assert axes.find(torch.zeros(2, 8, 5), hints_of(nn.Conv1d(3, 8, 1))).axis == 1
    assert axes.find(torch.zeros(2, 8, 5), NO_HINTS).axis == 1
    assert axes.find(torch.zeros(2, 5, 8), NO_HINTS).axis == 2  # a permutation
    assert axes.find(torch.zeros(2, 5, 9), hints_of(nn.Linear(8, 9))).axis == 2
    assert axes.find(torch.zeros(2, 5, 9), NO_HINTS).axis == 2


def test_a_module_that_tells_nothing_goes_by_the_one_registered_before():
    """The chosen layers may be activations alone, so that no output before tells either."""
    block = nn.Sequential(nn.Sequential(nn.Linear(4, 6), nn.GELU()), nn.Conv2d(3, 7, 1), nn.ReLU())
    layers = feature_hints(block)
    assert FeatureAxes().find(torch.zeros(2, 9, 9, 6), layers["0.1"]).axis == 3
    assert FeatureAxes().find(torch.zeros(2, 7, 9, 9), layers["2"]).axis == 1
    assert layers["2"].first_inside is None
    assert [one.count for one in layers["0"].outputs] == [6]


@pytest.mark.parametrize(("shape", "axis"), [((2, 8, 5), 1), ((2, 5, 8), 2)])
def test_pooling_keeps_the_number_of_features(shape, axis):
    layers = feature_hints(nn.Sequential(nn.Conv1d(3, 8, 1), nn.MaxPool1d(2), nn.ReLU()))
    assert FeatureAxes().find(torch.zeros(shape), layers["2"]).axis == axis


class Turning(nn.Module):
    """A block that turns its input, and its output back."""

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x):
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


SQUARE = torch.zeros(2, 6, 6)


@pytest.mark.parametrize(
    ("module", "certain"),
    [
        (nn.Linear(6, 6), True),
        (nn.Conv1d(6, 6, 1), True),
        (nn.ReLU(), True),
        (nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6)), True),
        (Turning(6), False),
        (nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)), False),
        (nn.Module(), False),
    ],
)
def test_as_many_tokens_as_features(module, certain):
    hints = hints_of(module)
    assert FeatureAxes().find(SQUARE, hints).certain == certain
    assert FeatureAxes().find(torch.zeros(2, 5, 6), hints).certain
    assert FeatureAxes().find(SQUARE, hints, known=1) == (1, True)
    assert FeatureAxes().find(SQUARE, hints, dims=(None, Tokens("x", "same"))) == (1, True)
    assert FeatureAxes().find(SQUARE, hints, dims=(Tokens("x", "same"), None)) == (2, True)
    assert FeatureAxes().find(SQUARE, hints, dims=(Tokens("x", "same"),) * 2).certain == certain
