"""Which mask a layer's tokens have: by a pass over shorter sequences, by names, by masks=, or not at all."""

import numpy as np
import pytest
import torch
from kinds.masks import Pair, Towers, Words, of_words, two_sided, vectors
from kinds.nets import padding, seeded
from torch import nn

import simwidget as sw
from simwidget.capture.length_maps import length_maps


def compared(net, batches, **options):
    options = {"measures": "cka", "device": "cpu", "representation": "mean", **options}
    return sw.compare({"net": net}, batches, **options).run(progress=False)


class Counting(nn.Module):
    """Counts the passes and their samples and tokens, and draws a random number in each."""

    def __init__(self):
        super().__init__()
        self.words, self.seen = Words(), []

    def forward(self, inputs_embeds, attention_mask):
        self.seen.append(tuple(attention_mask.shape))
        torch.rand(1)
        return self.words(inputs_embeds, attention_mask)


def test_one_small_pass_is_enough_for_a_run():
    net = seeded(Counting)
    compared(net, list(of_words(32, [6] * 100)))
    assert net.seen[0] == (2, 3)
    assert net.seen[1:] == [(32, 6)] * 100
    tokens = [samples * length for samples, length in net.seen]
    assert tokens[0] < 0.01 * sum(tokens)


@pytest.mark.filterwarnings("ignore:.*padded tokens")
def test_no_pass_where_no_mask_is_used():
    for options in ({"representation": "flatten"}, {"masks": {"*": "attention_mask"}}):
        net = seeded(Counting)
        compared(net, list(of_words(32, [6] * 3)), **options)
        assert net.seen == [(32, 6)] * 3


@pytest.mark.filterwarnings("ignore:.*padded tokens")
def test_the_pass_draws_no_random_numbers_of_the_users():
    torch.manual_seed(0)
    compared(seeded(Counting), list(of_words(32, [6] * 3)))
    after = torch.rand(1)
    torch.manual_seed(0)
    compared(seeded(Counting), list(of_words(32, [6] * 3)), representation="flatten")
    assert torch.equal(torch.rand(1), after)


def test_a_pass_in_which_the_network_fails_leaves_nothing_behind():
    class OneLength(Counting):
        def forward(self, inputs_embeds, attention_mask):
            return super().forward(inputs_embeds + torch.linspace(0, 1, 6)[:, None], attention_mask)

    net = seeded(OneLength).train()
    result = compared(net, list(of_words(32, [6] * 3)))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert result.provenance["models"]["net"]["read_as"][
        "samples in dimension 0 (shape); mask: attention_mask (number of tokens, and names)"
    ]
    with_mask = compared(net, list(of_words(32, [6] * 3)), masks={"*": "attention_mask"})
    assert np.array_equal(result.matrix(), with_mask.matrix(), equal_nan=True)


def test_a_pass_that_fails_in_the_middle_shows_the_layers_before():
    class Ending(Counting):
        def __init__(self):
            super().__init__()
            self.end = nn.Linear(24, 3)

        def forward(self, inputs_embeds, attention_mask):
            return self.end(super().forward(inputs_embeds, attention_mask).flatten(1))

    result = compared(seeded(Ending), list(of_words(32, [6] * 3)))
    with_mask = compared(seeded(Ending), list(of_words(32, [6] * 3)), masks={"*": "attention_mask"})
    assert np.array_equal(result.matrix(), with_mask.matrix())
    assert "attention_mask (pass over shorter" in str(result.provenance["models"]["net"]["read_as"])


def test_the_sources_are_in_the_provenance():
    facts = compared(seeded(Pair), list(two_sided(32, (6, 6), 6))).provenance["models"]["net"]["read_as"]
    assert facts == {
        "samples in dimension 0 (shape); mask: attention_mask (pass over shorter sequences)": [
            "left.0.query", "left.0", "left.1", "across",
        ],
        "samples in dimension 0 (shape); mask: decoder_attention_mask (pass over shorter sequences)": [
            "right.0.query", "right.0", "right.1", "head",
        ],
    }  # fmt: skip


@pytest.mark.parametrize("make", [Pair, Towers])
def test_a_resumed_run_knows_the_masks(make, tmp_path):
    def batches():
        if make is Pair:
            return list(two_sided(16, (6, 5, 6, 7, 6, 6, 4, 6), 6))
        return list(of_words(16, (5, 7, 6, 7, 7, 4, 6, 7), patches=lambda number: vectors(16, 7, seed=number)))

    net, path = seeded(make), tmp_path / "run.simw"
    options = {"measures": "cka", "device": "cpu", "representation": "mean", "gram_batch": 16}
    sw.compare({"net": net}, batches(), checkpoint=path, checkpoint_seconds=0, max_batches=3, **options).run(False)
    resumed = sw.resume(path, {"net": net}, batches(), max_batches=None).run(progress=False)
    whole = sw.compare({"net": net}, batches(), **options).run(progress=False)
    assert resumed.n_batches == 8
    assert np.array_equal(resumed.matrix(), whole.matrix())
    ways = [one.provenance["models"]["net"]["read_as"] for one in (resumed, whole)]
    assert ways[0] == ways[1]


@pytest.mark.parametrize(
    "masks", [None, {"left*": "attention_mask", "across": "attention_mask", "*": "decoder_attention_mask"}]
)
def test_a_batch_without_the_mask_has_no_padding(masks):
    """As some tokenizers leave the mask out where all sequences have one length."""

    class Optional(Pair):
        def forward(self, inputs_embeds, decoder_inputs_embeds, decoder_attention_mask, attention_mask=None):
            return super().forward(inputs_embeds, attention_mask, decoder_inputs_embeds)

    batches = list(two_sided(32, (6, 5, 6), 6))
    batches[1]["attention_mask"][:] = 1
    with_mask = compared(seeded(Optional), batches, masks=masks)
    del batches[1]["attention_mask"]
    assert np.array_equal(with_mask.matrix(), compared(seeded(Optional), batches, masks=masks).matrix())


class Sided(nn.Module):
    """An encoder and a decoder with such names, of one length."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 5), nn.Linear(4, 5)
        self.weights = nn.Parameter(torch.randn(6, 1))

    def forward(self, inputs_embeds, attention_mask, decoder_inputs_embeds, decoder_attention_mask):
        return self.encoder(inputs_embeds * self.weights) + self.decoder(decoder_inputs_embeds * self.weights)


def test_names_tell_encoder_and_decoder_where_no_pass_can():
    net, batches = seeded(Sided), list(two_sided(32, (6, 6, 6), 6))
    result = compared(net, batches)
    keys = {"encoder": "attention_mask", "decoder": "decoder_attention_mask"}
    assert np.array_equal(result.matrix(), compared(net, batches, masks=keys).matrix())
    swapped = compared(net, batches, masks=dict(zip(keys, reversed(keys.values()))))
    assert abs(result.matrix() - swapped.matrix()).max() > 1e-3
    (way, _) = result.provenance["models"]["net"]["read_as"]
    assert way == "samples in dimension 0 (shape); mask: attention_mask (number of tokens, and names)"


def test_a_mask_that_fits_in_some_batches_only_is_noted_with_the_numbers():
    """The names tell the masks here, and no pass over shorter sequences does."""

    class Stubborn(Pair):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = self.left, self.right

        def forward(self, inputs_embeds, attention_mask, decoder_inputs_embeds, decoder_attention_mask=None):
            if len(inputs_embeds) == 2:
                raise RuntimeError("two samples are too few")
            return super().forward(inputs_embeds, attention_mask, decoder_inputs_embeds)

    batches = list(two_sided(32, (6, 5, 6), 6))
    for batch in batches[:2]:
        batch["decoder_attention_mask"] = padding(32, 6).long()
    batches[1]["inputs_embeds"] = vectors(32, 7)
    with pytest.warns(UserWarning, match=r"in 2 batches a mask .* in 1 batches none has.*give masks="):
        compared(seeded(Stubborn), batches, layers=["left"])


def test_language_models_whose_labels_are_their_inputs():
    """Layers of OPT are named "decoder", and its batches hold labels: the mask is still that of all tokens."""

    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder = nn.ModuleDict({"words": nn.Embedding(9, 4), "block": nn.Linear(4, 5)})
            self.head = nn.Linear(5, 9)

        def forward(self, input_ids, attention_mask, labels=None):
            scores = self.head(torch.tanh(self.decoder["block"](self.decoder["words"](input_ids))))
            if labels is not None:
                nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten())
            return scores

    def batches(**more):
        for number in range(3):
            real = padding(32, 6, seed=number).long()
            ids = torch.randint(9, (32, 6), generator=torch.Generator().manual_seed(number))
            yield {"input_ids": ids, "attention_mask": real, **({"labels": ids} if more else {})}

    net = seeded(Language)
    with_labels, without = compared(net, list(batches(labels=True))), compared(net, list(batches()))
    assert np.array_equal(with_labels.matrix(), without.matrix())
    assert "attention_mask (pass over shorter" in str(with_labels.provenance["models"]["net"]["read_as"])


@pytest.mark.filterwarnings("ignore:.*takes no argument for the batch")
def test_a_mask_of_more_dimensions_is_noted_and_the_advice_helps():
    class FourDims(Words):
        def forward(self, inputs_embeds, attention_mask):
            return super().forward(inputs_embeds, attention_mask)

    batches = list(of_words(32, (6, 6)))
    expected = compared(seeded(Words), batches)
    for batch in batches:
        batch["valid"] = batch["attention_mask"]
        batch["attention_mask"] = batch["valid"][:, None, None]
    said = r"'attention_mask' \(32, 1, 1, 6\) is no mask \(n, tokens\).*name it with masks="
    with pytest.warns(UserWarning, match=said):
        without = compared(seeded(FourDims), batches)
    with pytest.warns(UserWarning, match=said):
        advised = compared(seeded(FourDims), batches, masks={"*": "valid"})
    assert np.array_equal(advised.matrix(), expected.matrix())
    assert abs(without.matrix() - expected.matrix()).max() > 1e-3


def test_tokens_of_another_input_are_no_samples_of_these():
    batches = list(of_words(32, (7, 7, 7), patches=lambda number: vectors(32, 7, seed=9 + number)))
    result = compared(seeded(Towers), batches, layers=["one", "two"], representation="tokens")
    assert "come from another input than the tokens of the first layer" in result.reasons("cka", "net")["two"]


@pytest.mark.parametrize(
    ("masks", "error", "text"),
    [
        ("attention_mask", TypeError, r"masks='attention_mask': give a mapping from layer patterns"),
        ({"one": 3}, TypeError, r"masks=3 for 'one': give a mapping"),
        ({"tower": None}, ValueError, r"masks= names 'tower', which matches no layer"),
        (
            {"one.*": "atention_mask"},
            ValueError,
            r"masks= names 'atention_mask', but the batch has no mask .* Did you mean 'attention_mask'",
        ),
    ],
)
def test_wrong_masks_are_refused(masks, error, text):
    with pytest.raises(error, match=text):
        compared(seeded(Words), list(of_words(32, (6, 6))), masks=masks)


def test_a_mask_of_other_tokens_gives_a_reason():
    batches = list(two_sided(32, (6, 6), 5))
    result = compared(seeded(Pair), batches, layers=["left", "right", "head"], masks={"left": "decoder_attention_mask"})
    reason = result.reasons("cka", "net")["left"]
    assert reason.startswith("it has 6 tokens, and mask 'decoder_attention_mask' gives 5: give masks={'left': None}")
    advised = compared(seeded(Pair), batches, layers=["left", "right", "head"], masks={"left": None})
    assert not advised.reasons("cka", "net")


def test_a_sample_without_tokens_gives_a_reason():
    batches = list(of_words(32, (6, 6), key="query_attention_mask"))
    for batch in batches:
        batch["query_inputs_embeds"] = batch.pop("inputs_embeds")
    batches[1]["query_attention_mask"][3] = 0

    def forward(model, batch):
        return model(batch["query_inputs_embeds"], batch["query_attention_mask"])

    result = compared(seeded(Words), batches, forward=forward, layers=["one"])
    assert "sample 3 has no real token here by 'query_attention_mask'" in result.reasons("cka", "net")["one"]


def test_callables_get_what_they_ask_for():
    seen = []

    def one(output):
        seen.append(1)
        return output.mean(1)

    def two(output, batch, times=2):
        seen.append(set(batch))
        return output.mean(1) * times

    def three(output, batch, mask):
        seen.append((tuple(mask.shape), mask.dtype))
        return output.mean(1)

    batches = list(of_words(32, (6, 6)))
    for function in (one, two, three):
        compared(seeded(Words), batches, layers=["one"], representation=function)
    assert seen[::2] == [1, {"inputs_embeds", "attention_mask"}, ((32, 6), torch.bool)]


def test_a_callable_gets_the_mask_of_its_layer():
    seen = {}

    def pooled(output, batch, mask):
        seen.setdefault(len(seen), mask)
        return output.mean(1)

    (batch,) = two_sided(32, (6,), 6)
    compared(seeded(Pair), [batch], layers=["left", "right", "across", "head"], representation=pooled)
    keys = ["attention_mask", "decoder_attention_mask", "attention_mask", "decoder_attention_mask"]
    assert [torch.equal(mask, batch[key].bool()) for mask, key in zip(seen.values(), keys)] == [True] * 4


def test_lengths_after_convolutions_and_poolings():
    net = nn.Sequential(
        nn.Conv1d(1, 2, 5, stride=3, padding=1), nn.MaxPool1d(3, stride=2, ceil_mode=True),
        nn.Conv1d(2, 2, 3, padding="same"), nn.Conv1d(2, 2, 3, padding="valid", dilation=2), nn.AvgPool1d(2),
    )  # fmt: skip
    maps = length_maps(net)
    for layer in range(5):
        for length in range(60, 75):
            frames = net[: layer + 1](torch.zeros(1, 1, length)).shape[2]
            assert maps[f"lengths up to {layer}"].fits(length, frames)
            assert not maps[f"lengths up to {layer}"].fits(length, frames + 1)
