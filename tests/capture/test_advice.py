"""Every advice in the reason of a layer without numbers is followed, and works."""

import re

import numpy as np
import pytest
import torch
from kinds import masks, speech
from kinds.nets import noise, seeded
from torch import nn

import simwidget as sw


def compared(net, batches, **options):
    options = {"measures": "cka", "device": "cpu", **options}
    return sw.compare({"net": net}, batches, **options).run(progress=False)


class Part(nn.Module):
    """A layer whose output is what a function makes of a tensor (n, 5), and a layer beside it."""

    def __init__(self, make):
        super().__init__()
        self.linear, self.part, self.make = nn.Linear(6, 5), nn.Identity(), make

    def forward(self, x):
        y = self.linear(x)
        self.part(self.make(y))
        return y


def part(make, n=32, **options):
    return seeded(lambda: Part(make)), noise(n, 6), {"layers": ["linear", "part"], **options}


def of_case(module, row, **options):
    (case,) = (kind.build() for kind in module.KINDS if kind.id == row)
    return case.models["net"], case.batches, {"layers": case.layers, **case.options, **options}


def two_lengths(**options):
    (net,) = (seeded(masks.Pair),)
    return net, list(masks.two_sided(32, (6, 6), 5)), {"layers": masks.PAIR, "representation": "mean", **options}


def no_words(**options):
    batches = list(masks.of_words(32, (6, 6), key="query_attention_mask"))
    batches[1]["query_attention_mask"][3] = 0
    forward = lambda model, batch: model(batch["inputs_embeds"], batch["query_attention_mask"])  # noqa: E731
    return seeded(masks.Words), batches, {"layers": ["one"], "representation": "mean", "forward": forward, **options}


class Stubborn(nn.Module):
    """As many steps as samples, steps first, and no other number of samples."""

    def __init__(self):
        super().__init__()
        self.linear, self.part = nn.Linear(6, 5), nn.Identity()

    def forward(self, x):
        if len(x) != 32:
            raise RuntimeError("32 samples, please")
        self.part(self.linear(x)[None].expand(32, -1, -1) * torch.linspace(0, 1, 32)[:, None, None])
        return self.linear(x)


class Growing(nn.Module):
    """Text tokens followed by as many others as there are of a second input."""

    def __init__(self):
        super().__init__()
        self.words, self.part = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, inputs_embeds, attention_mask, decoder_inputs_embeds, decoder_attention_mask):
        return self.part(torch.cat([self.words(inputs_embeds), self.words(decoder_inputs_embeds)], 1))


def both(**options):
    return (
        seeded(Growing),
        list(masks.two_sided(32, (6, 6), 5)),
        {"layers": ["part"], "representation": "mean", **options},
    )


def pooled(output, batch, mask):
    return output.mean(1)


class Places(nn.Module):
    """Tokens of two lengths that have nothing to do with each other, and a layer without tokens."""

    def __init__(self):
        super().__init__()
        self.words, self.other, self.last = nn.Linear(4, 5), nn.Linear(4, 3), nn.Linear(5, 2)

    def forward(self, x):
        self.other(x[:, :3].repeat(1, 5, 1)[:, :13])
        return self.last(self.words(x).mean(1))


def places(**options):
    return seeded(Places), noise(32, 10, 4), {"representation": "tokens", **options}


ADVICE = {
    "a callable for an output without tensors": (
        part(lambda y: [str(one) for one in y.tolist()]),
        r"has no tensor: choose other layers with layers=, or give representation= a callable for this layer",
        part(
            lambda y: [str(one) for one in y.tolist()],
            representation={"part": lambda texts: torch.tensor([[float(len(one))] for one in texts])},
        ),
    ),
    "other layers": (part(lambda y: None), r"choose other layers", part(lambda y: None, layers=["linear"])),
    "a callable for a sparse output": (
        part(lambda y: y.to_sparse()),
        r"is not dense: give representation= a callable for this layer",
        part(lambda y: y.to_sparse(), representation={"part": lambda y: y.to_dense()}),
    ),
    "batch_dim for samples in the last dimension": (
        part(lambda y: y.T),
        r"no tensor with the batch's 32 samples in dimension 0: pass batch_dim= if",
        part(lambda y: y.T, batch_dim={"part": 1}),
    ),
    "a callable for samples in no dimension": (
        part(lambda y: y.flatten()),
        r"or representation= a callable for this layer",
        part(lambda y: y.flatten(), representation={"part": lambda y: y.view(-1, 5)}),
    ),
    "batch_dim for two equal dimensions": (
        (seeded(Stubborn), noise(32, 6), {"layers": ["linear", "part"]}),
        r"as many as the batch has samples.*32 samples, please.*give batch_dim=",
        (seeded(Stubborn), noise(32, 6), {"layers": ["linear", "part"], "batch_dim": {"part": 1}}),
    ),
    "mean for a feature map": (
        part(lambda y: y[:, :, None, None].expand(-1, -1, 3, 3), representation="cls"),
        r'take representation="mean" or "positions" for it',
        part(lambda y: y[:, :, None, None].expand(-1, -1, 3, 3), representation={"part": "mean", "*": "cls"}),
    ),
    "other layers than one without tokens": (places(), r"no tokens or positions, only", places(layers=["words"])),
    "layers of one kind": (places(), r"compare layers of one kind, or give repr", places(layers=["other"])),
    "a callable for tokens of other layers": (
        places(),
        r"or give representation= a callable",
        places(representation=lambda x: x.flatten(1)),
    ),
    "masks= for the tokens of another input": (
        two_lengths(masks={"left": "decoder_attention_mask"}),
        r"give masks=\{'left': None\} if the layer has the tokens of another input",
        two_lengths(masks={"left": None}),
    ),
    "masks= for a sample without tokens": (
        no_words(),
        r"leave this sample out, or give masks=\{'one': None\} to use all tokens",
        no_words(masks={"one": None}),
    ),
    "masks= for a network of one length": (
        of_case(masks, "a network of one length, where lengths tell nothing"),
        r"give masks=\{layer: key of the mask\}, or \{layer: None\}",
        of_case(masks, "a network of one length, where lengths tell nothing", masks={"two": None}),
    ),
    "masks= for tokens of two inputs": (
        both(),
        r"it is not known which and how: give masks=.*\{'part': None\} for no mask",
        both(masks={"part": None}),
    ),
    "a callable for tokens of two inputs": (both(), r"or give representation= a callable", both(representation=pooled)),
    "a callable for frames": (
        of_case(speech, "frames of which nothing is known"),
        r"give representation= a callable \(output, batch, mask\) for it",
        of_case(speech, "frames of which nothing is known", representation={"last": "mean", "*": pooled}),
    ),
    "masks= for frames": (
        of_case(speech, "frames whose padding is in front"),
        r"or masks=\{layer: None\} to use all tokens",
        of_case(speech, "frames whose padding is in front", masks={"*": None}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ADVICE)
def test_advice(kind):
    (net, batches, options), reason, (_, _, advised) = ADVICE[kind]
    before = compared(net, batches, **options).reasons("cka", "net")
    assert before, "there is nothing to give advice for"
    texts = " | ".join(before.values())
    assert re.search(reason, texts), texts
    after = compared(net, batches, **advised)
    assert not after.reasons("cka", "net")
    assert np.isfinite(after.matrix()).all()
