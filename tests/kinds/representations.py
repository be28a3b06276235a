"""Rows for what is made of a layer's output."""

import torch
from torch import nn

from kinds.kind import Case, Table
from kinds.nets import Encoder, Stairs, bert, by_name, gpt2, hidden, ids, noise, over_space, padding, seeded, the_input

KINDS = Table()
STAIRS = ("conv1", "norm", "conv2", "conv3", "head")
ENCODER = ("embeddings", "encoder.layer.0.attention", "encoder.layer.0", "encoder.layer.1")
DECODER = ("wte", "h.0.attn", "h.0", "h.1", "ln_f")


@KINDS.row("flatten over a CNN")
def flattened():
    return Case({"net": seeded(Stairs)}, noise(24, 3, 8, 8), STAIRS, confounders=[the_input])


def masked(count, length, left=False):
    """Batches as tokenizers give them, with padding on one side."""
    batches = []
    for number, tokens in enumerate(ids(count, length)):
        real = padding(count, length, left, number)
        batches.append({"input_ids": tokens * real, "attention_mask": real.long()})
    return batches


def mean_of_real(output, batch):
    real = batch["attention_mask"].double()[..., None]
    return (hidden(output, batch) * real).sum(1) / real.sum(1)


@KINDS.row("mean over real tokens")
def mean_over_tokens():
    """The pooler's output has no tokens any more."""
    reading = {**dict.fromkeys(ENCODER, mean_of_real), "pooler": lambda output, batch: output}
    layers, options = [*ENCODER, "pooler"], {"representation": "mean"}
    return Case({"net": bert()}, masked(32, 7), layers, reading, options, call=by_name)


@KINDS.row("mean over real tokens, torch's mask")
def mean_with_padding_mask():
    """True is padding in torch's own masks."""

    def read(output, batch):
        real = (~batch["src_key_padding_mask"]).double()[..., None]
        return (hidden(output, batch) * real).sum(1) / real.sum(1)

    batches = [
        {"src": x, "src_key_padding_mask": ~padding(32, 6, seed=number)} for number, x in enumerate(noise(32, 6, 8))
    ]
    layers = ["encoder.layers.0.self_attn", "encoder.layers.0.linear1", "encoder.layers.0", "encoder.layers.1"]
    return Case({"net": seeded(Encoder)}, batches, layers, read, {"representation": "mean"}, call=by_name)


@KINDS.row("cls")
def class_token():
    """A map of patches has no first token, and this head starts with weights of zero."""
    from torchvision.models import VisionTransformer

    def read(output, batch):
        output = hidden(output, batch)
        return output[:, 0] if output.ndim == 3 else output

    model = seeded(lambda: VisionTransformer(16, 4, 2, 2, 16, 24, num_classes=5))
    first = "encoder.layers.encoder_layer_0"
    layers = ["conv_proj", f"{first}.self_attention", first, "encoder.layers.encoder_layer_1", "encoder.ln", "heads"]
    return Case(
        {"net": model}, noise(32, 3, 16, 16), layers, read, {"representation": "cls"},
        reasons={"net:conv_proj": "has positions, no tokens", "net:heads": "constant representation"},
    )  # fmt: skip


def at(token):
    def read(output, batch):
        output = hidden(output, batch)
        return torch.stack([one[token(mask)] for one, mask in zip(output, batch["attention_mask"])])

    return read


def last_real(mask):
    return mask.tolist().index(0) - 1 if 0 in mask else -1


@KINDS.row("cls, padding on the left")
def class_token_left():
    reading = at(lambda mask: mask.tolist().index(1))
    return Case({"net": bert()}, masked(32, 7, left=True), ENCODER, reading, {"representation": "cls"}, call=by_name)


@KINDS.row("last, padding on the right")
def last_token_right():
    options = {"representation": "last"}
    return Case({"net": gpt2()}, masked(32, 7), DECODER, at(last_real), options, call=by_name)


@KINDS.row("last, padding on the left")
def last_token_left():
    options = {"representation": "last"}
    return Case({"net": gpt2()}, masked(32, 7, left=True), DECODER, at(lambda mask: -1), options, call=by_name)


@KINDS.row("last of a recurrent layer")
def last_step():
    """Without a mask: the last step, where the steps come first as well."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 6)
            self.head = nn.Linear(6, 3)

        def forward(self, x):
            return self.head(self.rnn(x.transpose(0, 1))[1][0][0])

    reading = {"rnn": lambda output, batch: output[0][-1]}
    options = {"representation": "last"}
    return Case({"net": seeded(Last)}, noise(32, 32, 4), ["rnn", "head"], reading, options)


ALL_OF_THEM = {"positions": 10_000, "gram_batch": 1}


def with_holes():
    """What stands in padded places is no number."""
    for number, x in enumerate(noise(32, 6, 8)):
        real = padding(32, 6, seed=number)
        yield {"src": torch.where(real[..., None], x, torch.nan), "attention_mask": real.long()}


class Tokenwise(nn.Module):
    """Each token for itself."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(8, 9)
        self.head = nn.Linear(9, 4)

    def forward(self, src):
        return self.head(torch.tanh(self.one(src)))


@KINDS.row("padding that is not finite, mean")
def mean_without_holes():
    """The model does not know the mask; the representation does."""

    def read(output, batch):
        return torch.stack([one[real.bool()].mean(0) for one, real in zip(output, batch["attention_mask"])])

    return Case(
        {"net": seeded(Tokenwise)}, list(with_holes()), ["one", "head"], read, {"representation": "mean"},
        call=lambda model, batch: model(batch["src"]), notes=["attention_mask"],
    )  # fmt: skip


@KINDS.row("padding that is not finite, tokens")
def tokens_without_holes():
    return Case(
        {"net": seeded(Tokenwise)}, list(with_holes()), ["one", "head"], every_token,
        {"representation": "tokens", **ALL_OF_THEM}, lambda model, batch: model(batch["src"]),
        [lambda batch, outputs: every_token(batch["src"], batch)], notes=["attention_mask"],
    )  # fmt: skip


def every_token(output, batch):
    return hidden(output, batch)[batch["attention_mask"].bool()]


@KINDS.row("tokens with a mask")
def tokens():
    """Every real token is a sample; a layer without tokens has no numbers."""
    return Case(
        {"net": bert()}, masked(16, 6), [*ENCODER, "pooler"], every_token, {"representation": "tokens", **ALL_OF_THEM},
        call=by_name, reasons={"net:pooler": "no tokens"},
        confounders=[lambda batch, outputs: every_token(outputs["net:embeddings.word_embeddings"], batch)],
        extra=["net:embeddings.word_embeddings"], notes=["the input holds token ids"],
    )  # fmt: skip


def every_position(output, batch):
    """At the finest resolution, that of the first layer: coarser cells count once for each place that they cover."""
    times = batch.shape[2] // output.shape[2]
    fine = output.repeat_interleave(times, 2).repeat_interleave(times, 3)
    return fine.movedim(1, 3).flatten(0, 2)


@KINDS.row("positions at several resolutions")
def positions():
    return Case(
        {"net": seeded(Stairs)}, noise(4, 3, 4, 4), STAIRS, every_position,
        {"representation": "positions", **ALL_OF_THEM}, reasons={"net:head": "no tokens or positions"},
        confounders=[lambda batch, outputs: batch.movedim(1, 3).flatten(0, 2)],
    )  # fmt: skip


@KINDS.row("positions at a coarser resolution than the input")
def coarse_positions():
    """The input is read in the cells that cover the centres; where four cells meet there, in the last of them."""
    return Case(
        {"net": seeded(Stairs)}, noise(4, 3, 8, 8), ["conv2", "conv3"],
        lambda output, batch: every_position(output, batch[:, :, ::2, ::2]),
        {"representation": "positions", **ALL_OF_THEM},
        confounders=[lambda batch, outputs: batch[:, :, 1::2, 1::2].movedim(1, 3).flatten(0, 2)],
    )  # fmt: skip


@KINDS.row("a callable")
def function():
    def read(output, batch):
        return output.amax((2, 3)) if output.ndim == 4 else output

    def strongest(x):
        return x.flatten(2).max(2).values if x.ndim == 4 else x

    options = {"representation": strongest}
    return Case({"net": seeded(Stairs)}, noise(32, 3, 8, 8), STAIRS, read, options, confounders=[the_input])


@KINDS.row("by pattern")
def patterns():
    """The first that matches counts, and what none matches is flattened."""

    def corner(x):
        return x[:, :, 0, 0]

    def read_corner(output, batch):
        return output[:, :, 0, 0]

    return Case(
        {"net": seeded(Stairs), "other": seeded(Stairs, 1)}, noise(32, 3, 8, 8), STAIRS,
        {"conv1": over_space, "net:conv2": read_corner, "other:conv2": over_space, "conv3": over_space},
        {"representation": {"net:conv2": corner, "conv*": "mean"}}, confounders=[the_input],
    )  # fmt: skip
