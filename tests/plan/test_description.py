"""`describe`: the layers of a network, as one batch shows them."""

import pytest
import torch
from torch import nn

import simwidget as sw

torchvision = pytest.importorskip("torchvision")


class Odd(nn.Module):
    """Layers in another order than declared, one that runs twice, one without a tensor, one that never runs."""

    def __init__(self):
        super().__init__()
        self.never = nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)
        self.twice = nn.Linear(6, 6)
        self.ids = Ids()

    def forward(self, x):
        x = self.twice(self.twice(x))
        self.ids(x)
        return self.last(x)


class Ids(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x.argmax(1).tolist()


def test_layers_come_in_execution_order_with_what_they_give():
    found = sw.describe(Odd(), torch.randn(8, 6))
    assert [layer.name for layer in found.layers] == ["twice", "ids", "last", "never"]
    assert [layer.calls for layer in found.layers] == [2, 1, 1, 0]
    assert found["last"].output == (8, 3)
    assert (found["last"].n_features, found["last"].dtype, found["last"].module) == (3, "float32", "Linear")
    assert found["ids"].n_features is None
    assert "list without tensors" in found["ids"].reason
    assert found["never"].reason == "did not run"
    with pytest.raises(KeyError, match="lost"):
        found["lost"]


@pytest.mark.parametrize("build", [torchvision.models.resnet18, torchvision.models.mobilenet_v3_small])
def test_what_is_chosen_is_what_a_comparison_takes(build):
    net, x = build(num_classes=5), torch.randn(8, 3, 32, 32)
    found = sw.describe(net, x)
    with pytest.warns(UserWarning, match="scatter"):
        result = sw.compare({"net": net}, [x], measures="cka", device="cpu").run(False)
    calls = [f"{name}#{k}" if k else name for name in found.chosen for k in range(found[name].calls)]
    assert sorted(calls) == sorted(result.layers("net"))
    repeated = [layer for layer in found.layers if layer.repeats is not None]
    assert not {layer.name for layer in repeated} & set(result.layers("net"))


def test_a_block_that_repeats_its_last_layer_says_so():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(6, 6)

        def forward(self, x):
            return self.inner(x)

    found = sw.describe(nn.Sequential(Block(), nn.Linear(6, 2)), torch.randn(8, 6))
    assert found.chosen == ("0.inner", "1")
    assert found["0"].repeats == "0.inner"
    assert "same as its inner" in str(found)


def test_options_mean_what_they_mean_in_a_comparison():
    net, x = torchvision.models.resnet18(num_classes=5), torch.randn(8, 3, 64, 64)
    assert sw.describe(net, x)["layer1"].n_features == 64 * 16 * 16
    assert sw.describe(net, x, representation="mean")["layer1"].n_features == 64
    assert sw.describe(net, x, representation="positions", positions=40)["layer1"].n_features == 64
    smaller = sw.describe(net, x, inputs=lambda batch: batch[..., ::2, ::2])
    assert smaller["layer1"].output == (8, 64, 8, 8)
    assert sw.describe(net, {"image": x}, forward=lambda model, batch: model(batch["image"]))["fc"].output == (8, 5)
    with pytest.raises(ValueError, match="representation='maen'"):
        sw.describe(net, x, representation="maen")


def test_layers_chosen_by_hand_count_as_chosen():
    model = sw.SimilarityModel(Odd(), layers=["twice", "never"])
    assert sw.describe(model, torch.randn(8, 6)).chosen == ("twice",)


def test_the_network_is_left_as_it_was():
    net = torchvision.models.resnet18(num_classes=5).train()
    net.layer1.eval()
    modes = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    sw.describe(net, torch.randn(8, 3, 32, 32))
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_as_text_as_a_page_and_as_a_table():
    found = sw.describe(Odd(), torch.randn(8, 6))
    lines = str(found).splitlines()
    assert lines[0] == "Odd: 4 layers, 3 of them chosen, 8 samples"
    assert lines[2].split() == ["layer", "module", "calls", "output", "dtype", "features", "chosen", "samples"]
    assert "did not run: never" in lines
    html = found._repr_html_()
    assert html.count("<tr>") == 5
    frame = found.to_dataframe()
    assert list(frame.index) == ["twice", "ids", "last", "never"]
    assert frame.loc["last", "n_features"] == 3


def test_how_a_layer_was_read_is_said():
    from kinds.masks import Pair, two_sided

    batch = next(two_sided(8, [6], 6))
    found = sw.describe(Pair(), batch, representation="mean")
    assert found["right"].mask == "decoder_attention_mask (pass over shorter sequences)"
    assert found["left"].samples == "dimension 0 (shape)"
    assert str(found).splitlines()[2].split()[-2:] == ["samples", "mask"]
    assert '<th style="text-align:left">mask</th>' in found._repr_html_()
    named = sw.describe(Pair(), batch, representation="mean", masks={"right": None, "*": "attention_mask"})
    assert (named["right"].mask, named["left"].mask) == ("none (masks=)", "attention_mask (masks=)")
    assert sw.describe(Pair(), batch)["right"].mask == ""
    rnn = nn.Sequential(nn.LSTM(4, 5))
    assert sw.describe(rnn, torch.randn(7, 8, 4), batch_dim=1)["0"].samples == "dimension 1 (batch_dim=)"


def test_names_are_text_on_the_page():
    net = nn.ModuleDict({"<b>bold": nn.Linear(6, 6)})
    net.forward = lambda x: net["<b>bold"](x)
    html = sw.describe(net, torch.randn(8, 6))._repr_html_()
    assert "&lt;b&gt;bold" in html
    assert "<b>bold" not in html


def test_memory_grows_with_what_waits_to_be_joined(monkeypatch):
    net, x = torchvision.models.resnet18(num_classes=5), torch.randn(8, 3, 64, 64)
    joined, alone = sw.describe(net, x), sw.describe(net, x, gram_batch=8)
    kept = sum(layer.calls * layer.n_features * 4 for layer in joined.layers if layer.chosen)
    assert joined.memory.joined == 56 * kept
    assert alone.memory.joined == 0
    assert alone.warning is None
    monkeypatch.setattr("simwidget.plan.description.bytes_free", lambda device: 10**6)
    assert "1 MB are free" in sw.describe(net, x).warning
