"""One test for every way in which existing tools go wrong over the models and batches that people bring.

As in `test_traps.py`, each has a patch in `tests/mutants/` that undoes the fix.
"""

import random

import numpy as np
import pytest
import reference
import torch
from torch import nn

import simwidget as sw


class Pooled(nn.Module):
    """A linear layer over tokens that are given with a mask, and what a model makes of the real ones."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x, attention_mask=None):
        tokens = self.tokens(x)
        weight = torch.ones(x.shape[:2]) if attention_mask is None else attention_mask
        return self.head((tokens * weight[..., None]).sum(1) / weight.sum(1, keepdim=True))


def padded(n=64, tokens=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, tokens, 4, generator=generator)
    lengths = torch.randint(1, tokens + 1, (n,), generator=generator)
    mask = (torch.arange(tokens) < lengths[:, None]).long()
    return {"x": torch.where(mask[..., None] == 1, x, 50.0), "attention_mask": mask}


def by_hand(net, batch):
    """The mean of each sample's real tokens, one by one, and the head's output of it."""
    weight, bias = (one.detach().double() for one in (net.tokens.weight, net.tokens.bias))
    means = []
    for x, mask in zip(batch["x"].double(), batch["attention_mask"]):
        real = [token @ weight.T + bias for token, is_real in zip(x, mask) if is_real]
        means.append(torch.stack(real).mean(0))
    means = torch.stack(means)
    head = means @ net.head.weight.detach().double().T + net.head.bias.detach().double()
    return [means.numpy(), head.numpy()]


def test_padding_stays_out_of_the_numbers():
    net, batch = Pooled(), padded()
    result = sw.compare({"net": net}, [batch], representation="mean", measures="cka", device="cpu").run(False)
    assert np.abs(result.matrix() - reference.cka([by_hand(net, batch)])).max() < 1e-5


def test_a_mask_counts_for_the_tokens_of_its_own_input_only():
    """Image patches, as many as text tokens by chance, have no padding."""

    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.text, self.image = nn.Linear(4, 5), nn.Linear(4, 5)

        def forward(self, inputs_embeds, attention_mask, patches):
            return (self.text(inputs_embeds) * attention_mask[..., None]).sum(1) + self.image(patches).mean(1)

    net, torch_state = Towers(), torch.Generator().manual_seed(0)
    words, patches = (torch.randn(64, 6, 4, generator=torch_state) for _ in range(2))
    mask = (torch.arange(6) < torch.randint(1, 7, (64, 1), generator=torch_state)).long()
    batch = {"inputs_embeds": words, "attention_mask": mask, "patches": patches}
    result = sw.compare({"net": net}, [batch], representation="mean", measures="cka", device="cpu").run(False)
    with torch.no_grad():
        text = (net.text(words) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        by_hand = [text.double().numpy(), net.image(patches).mean(1).double().numpy()]
    assert np.abs(result.matrix() - reference.cka([by_hand])).max() < 1e-5


def test_the_mask_of_a_batch_reaches_the_model():
    net, batch = Pooled(), padded()
    options = {"measures": "cka", "device": "cpu", "representation": "mean"}
    with_mask = sw.compare({"net": net}, [batch], layers=["head"], **options).run(False)
    kept = sw.SimilarityModel(net, layers=["head"]).representations(batch)["head"]
    assert torch.allclose(kept.double(), torch.from_numpy(by_hand(net, batch)[1]), atol=1e-5)
    assert np.isfinite(with_mask.matrix()).all()


class Merging(nn.Module):
    """Merges an update into its weight when it is told to evaluate, as some adapters do."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.update = nn.Parameter(torch.randn(6, 6))

    def train(self, mode=True):
        if not mode and self.training:
            self.linear.weight.data += self.update.data
        return super().train(mode)

    def forward(self, x):
        return self.linear(x)


def test_a_models_own_eval_is_not_run():
    net = Merging()
    before = net.linear.weight.detach().clone()
    sw.compare({"net": net}, [torch.randn(64, 6)], device="cpu").run(False)
    assert torch.equal(net.linear.weight, before)
    assert net.training


class Counting(nn.Module):
    """Writes into its buffers in evaluation mode too."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x):
        self.seen += len(x)
        self.mean = x.mean(0)
        return self.linear(x)


def test_buffers_are_left_as_they_were():
    net = Counting()
    seen, mean = net.seen, net.mean
    sw.compare({"net": net}, [torch.randn(64, 6)] * 2, device="cpu").run(False)
    assert net.seen is seen
    assert net.mean is mean
    assert (seen.item(), mean.abs().sum().item()) == (0, 0)


class Drawing(nn.Module):
    """Draws random numbers in evaluation mode too."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        return self.linear(nn.functional.dropout(x, training=True))


def test_random_numbers_go_on_after_a_run():
    net, batches = Drawing(), [torch.randn(64, 6)] * 2
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()

    def loader():
        for batch in batches:
            random.random(), np.random.rand(), torch.rand(3)
            yield batch

    sw.compare({"net": net}, loader(), device="cpu").run(False)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]


def test_a_background_run_puts_random_numbers_back():
    net, batches = Drawing(), [torch.randn(64, 6)] * 3
    before = torch.get_rng_state()
    sw.compare({"net": net}, batches, device="cpu").start().wait(60)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:.*nested tensor", "ignore:The PyTorch API of nested")
def test_layers_inside_a_fused_transformer_layer_run():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = nn.TransformerEncoder(layer, 2)
    x, mask = torch.randn(64, 5, 8), torch.zeros(64, 5, dtype=torch.bool)
    mask[:32, 3:] = True
    batch = {"src": x, "src_key_padding_mask": mask}
    result = sw.compare(
        {"net": net}, [batch], layers=["layers.0", "layers.0.linear1", "layers.1"], measures="cka", device="cpu",
        representation="mean",
    ).run(False)  # fmt: skip
    assert result.reasons("cka", "net") == {}
    assert torch.backends.mha.get_fastpath_enabled()


class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(4, 6)

    def forward(self, x):
        return self.rnn(x.transpose(0, 1))[0][-1]


@pytest.mark.filterwarnings("ignore:models 'net' and 'last' run networks with the same")
def test_samples_that_come_second():
    """As many steps as samples: the shape alone tells nothing."""
    net, x = TimeFirst(), torch.randn(64, 64, 4)
    result = sw.compare({"net": net, "last": nn.Sequential(net)}, [x], measures="cka", device="cpu").run(False)
    with torch.no_grad():
        steps = net.rnn(x.transpose(0, 1))[0].double().numpy()
    rnn, last = steps.transpose(1, 0, 2).reshape(64, -1), steps[-1]
    assert result.matrix(view=("net", "last")).shape == (1, 2)
    expected = reference.cka([[rnn, last]])[0, 1]
    assert result.matrix(view=("net", "last"))[0, 1] == pytest.approx(expected, abs=1e-5)


class Regions(nn.Module):
    """What detection models do: layers over regions, of which an image has many."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(6, 5)
        self.region = nn.Linear(5, 64)

    def forward(self, x):
        return self.region(self.backbone(x).repeat_interleave(3, 0))


def test_as_many_features_as_samples_are_no_samples():
    result = sw.compare({"net": Regions()}, [torch.randn(64, 6)], measures="cka", device="cpu").run(False)
    assert list(result.reasons("cka", "net")) == ["region"]
    assert "(192, 64)" in result.reasons("cka", "net")["region"]


def test_token_ids_are_no_confounder():
    net = nn.Sequential(nn.Embedding(20, 6), nn.Flatten(), nn.Linear(30, 4))
    ids = torch.randint(0, 20, (64, 5))
    with pytest.warns(UserWarning, match="token ids.*first embedding's output, '0' of 'a'"):
        result = sw.compare({"a": net, "b": nn.Sequential(nn.Embedding(20, 3))}, [ids], device="cpu").run(False)
    with torch.no_grad():
        embedded, out = net[0](ids).flatten(1), net(ids)
    other = sw.functional.dcka(out.double(), out.double() * 2, embedded.double())
    assert result.matrix("dcka", "xx")[-1, -1] == pytest.approx(other, abs=1e-4)
    assert "explained by the confounder" in result.reasons("dcka", "a")["0"]
    wrong = sw.functional.dcka(embedded.double(), out.double(), ids.double())
    right = sw.functional.dcka(embedded.double(), out.double(), embedded.double())
    assert not np.isnan(wrong)
    assert np.isnan(right)
