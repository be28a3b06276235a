"""Tokens as samples, where layers have other numbers of them, or none."""

import numpy as np
import pytest
import torch
from torch import nn

import simwidget as sw
from kinds.nets import noise, seeded


class Classed(nn.Module):
    """A class token is put before the patches, and taken away again; one layer has but one value a sample."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Linear(4, 5)
        self.pooled = nn.Linear(5, 3)
        self.blocks = nn.Identity()
        self.again = nn.Identity()
        self.mixed = nn.Linear(5, 2)

    def forward(self, x):
        x = self.patches(x)
        self.pooled(x.mean(1))
        self.mixed(torch.tanh(x))
        x = self.blocks(torch.cat([x.new_full((len(x), 1, 5), 9.0), x], 1))
        return self.again(x[:, 1:])


def compared(layers, **options):
    return sw.compare(
        {"net": seeded(Classed)}, noise(16, 7, 4), layers=layers, representation="tokens", positions=60, device="cpu",
        **options,
    ).run(progress=False)  # fmt: skip


def test_a_class_token_before_the_others_does_not_move_them():
    result = compared(["patches", "blocks", "again"], measures="cka")
    assert result.matrix("cka") == pytest.approx(np.ones((3, 3)), abs=1e-6)


def test_layers_without_the_class_token_that_was_drawn_have_a_reason():
    result = compared(["blocks", "again"], measures="cka")
    assert result.reasons("cka", "net").keys() == {"again"}
    assert (
        "its positions (7,) do not correspond to those of the first layer, (8,)"
        in result.reasons("cka", "net")["again"]
    )


def test_a_layer_with_one_value_a_sample_counts_at_all_of_its_tokens():
    net = seeded(Classed)

    def pooled(batch):
        with torch.no_grad():
            return net.pooled(net.patches(batch).mean(1))

    of_layer, of_batch, with_input = (
        compared(["patches", "mixed"], confounder=one).matrix("dcka")[0, 1] for one in ("pooled", pooled, "input")
    )
    assert of_layer == pytest.approx(of_batch, abs=1e-6)
    assert abs(of_layer - with_input) > 1e-3


def test_tokens_of_a_decoder_without_a_mask_are_all_real():
    from simwidget.data.masks import find_masks

    hidden = torch.ones(4, 6, dtype=torch.long)
    hidden[0, 3:] = 0
    masks = find_masks({"input_ids": hidden, "attention_mask": hidden, "decoder_input_ids": hidden}, 4, 0)
    assert masks.real["attention_mask"].sum() == 21
    assert masks.real["decoder_input_ids"].all()


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor")
def test_a_callables_quantised_confounder_counts_with_its_values():
    net, x = nn.Sequential(nn.Linear(4, 5)), torch.randn(64, 4)
    coarse = torch.quantize_per_tensor(x, 0.5, 0, torch.qint8)
    options = {"device": "cpu"}
    quantised = sw.compare({"net": net}, [x], confounder=lambda batch: coarse, **options).run(False)
    plain = sw.compare({"net": net}, [x], confounder=lambda batch: coarse.dequantize(), **options).run(False)
    assert np.array_equal(quantised.matrix("dcka"), plain.matrix("dcka"))


def test_layers_that_are_no_names_are_refused():
    with pytest.raises(TypeError, match=r"layers of 'net' has 3: give names or globs of layers, such as '\*.attn'"):
        sw.compare({"net": seeded(Classed)}, [], layers=[3])


def test_measures_that_work_in_float64_need_more_memory(monkeypatch):
    seen = []

    def estimate(*args, itemsize, **more):
        from simwidget.plan.memory import estimate_memory

        seen.append(itemsize)
        return estimate_memory(*args, itemsize=itemsize, **more)

    monkeypatch.setattr("simwidget.run.memory_check.estimate_memory", estimate)
    for average in ("hsic", "cka"):
        sw.compare({"net": nn.Sequential(nn.Linear(4, 5))}, noise(64, 4), average=average, device="cpu").run(False)
    assert list(dict.fromkeys(seen)) == [4, 8]  # each run says so again as it learns of more rows


def test_an_embedding_of_one_id_a_sample_stands_in_for_it_at_all_of_its_tokens():
    class Prompted(nn.Module):
        def __init__(self):
            super().__init__()
            self.kind = nn.Embedding(5, 4)
            self.tokens = nn.Linear(4, 6)
            self.mixed = nn.Linear(6, 3)

        def forward(self, ids):
            steps = torch.arange(7.0)[:, None] * torch.linspace(-1, 1, 4)
            return self.mixed(torch.tanh(self.tokens(torch.sin(self.kind(ids)[:, None] * steps + ids[:, None, None]))))

    ids = torch.arange(32) % 5
    with pytest.warns(UserWarning, match="first embedding's output, 'kind' of 'net'"):
        result = sw.compare(
            {"net": seeded(Prompted)}, [ids], layers=["tokens", "mixed"], representation="tokens", device="cpu"
        ).run(False)
    assert np.isfinite(result.matrix("dcka")).all()
    assert result.provenance["input_stands_for"] == "'kind' of 'net'"
