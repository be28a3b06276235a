"""Which layers have their samples in dimension 1."""

import pytest
from torch import nn

from simwidget.capture.batch_first import sequence_first_layers


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_layers_with_their_samples_second():
    layer = nn.TransformerEncoderLayer(8, 2, 8)
    model = nn.ModuleDict(
        {
            "rnn": nn.GRU(3, 4),
            "first": nn.LSTM(3, 4, batch_first=True),
            "attention": nn.MultiheadAttention(8, 2),
            "encoder": nn.TransformerEncoder(layer, 1, enable_nested_tensor=False),
            "head": nn.Linear(3, 3),
        }
    )
    found = sequence_first_layers(model)
    assert {"rnn", "attention", "encoder", "encoder.layers.0.linear1", "encoder.layers.0.norm2"} <= found
    assert not {"", "first", "head"} & found
    whole = sequence_first_layers(nn.Transformer(8, 2, 1, 1, 8))
    assert {"", "encoder.layers.0", "decoder.layers.0.multihead_attn"} <= whole
    assert not sequence_first_layers(nn.Transformer(8, 2, 1, 1, 8, batch_first=True))


def test_a_layer_of_another_convention_inside():
    outer = nn.TransformerEncoderLayer(8, 2, 8)
    outer.linear1 = nn.Sequential(nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 8))
    assert "linear1" in sequence_first_layers(outer)
    assert "linear1.1" in sequence_first_layers(outer)
    assert "linear1.0" not in sequence_first_layers(outer)


def test_an_encoder_without_layers_tells_nothing():
    assert not sequence_first_layers(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8), 0, enable_nested_tensor=False)
    )
