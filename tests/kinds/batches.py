"""Rows for what a loader gives."""

from collections import UserDict, namedtuple
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, IterableDataset

from kinds.kind import Case, Table
from kinds.nets import MLP, Mlp, Stairs, bert, by_name, entry, ids, noise, padding, seeded, the_input

KINDS = Table()


def labels(n, count=3, classes=4):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, classes, (n,), generator=generator) for _ in range(count)]


def input_first(batch, outputs):
    return batch[0].flatten(1)


@KINDS.row("batch: tensor of images")
def images():
    layers = ["conv1", "conv2", "conv3", "head"]
    return Case({"net": seeded(Stairs)}, noise(24, 3, 8, 8), layers, confounders=[the_input])


class Bytes(nn.Module):
    """Makes numbers of the bytes of images itself."""

    def __init__(self):
        super().__init__()
        self.stairs = Stairs()

    def forward(self, x):
        return self.stairs(x / 255 - 0.5)


@KINDS.row("batch: images of bytes")
def bytes_of_images():
    batches = [batch.mul(50).add(128).clamp(0, 255).byte() for batch in noise(24, 3, 8, 8)]
    layers = ["stairs.conv1", "stairs.conv3", "stairs"]
    return Case({"net": seeded(Bytes)}, batches, layers, confounders=[the_input])


class Sequences(nn.Module):
    """Takes packed sequences."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[1][0])


@KINDS.row("batch: PackedSequence")
def packed():
    """Its samples go back into their order."""

    def read(output, batch):
        return pad_packed_sequence(output[0], batch_first=True)[0].flatten(1)

    lengths = torch.arange(32) % 5 + 1
    batches = [pack_padded_sequence(x, lengths, True, enforce_sorted=False) for x in noise(32, 5, 4)]
    return Case({"net": seeded(Sequences)}, batches, ["rnn", "head"], {"rnn": read})


@KINDS.row("batch: (input, labels)")
def tuples():
    batches = list(zip(noise(32, 6), labels(32)))
    return Case(
        {"net": seeded(Mlp)}, batches, MLP, call=lambda model, batch: model(batch[0]), confounders=[input_first]
    )


Labelled = namedtuple("Labelled", ["image", "label"])


@KINDS.row("batch: named tuple")
def named_tuples():
    batches = [Labelled(*one) for one in zip(noise(32, 6), labels(32))]
    return Case(
        {"net": seeded(Mlp)}, batches, MLP, call=lambda model, batch: model(batch.image), confounders=[input_first]
    )


@KINDS.row("batch: [input, labels, more]")
def lists():
    batches = [[x, y, torch.arange(32)] for x, y in zip(noise(32, 6), labels(32))]
    return Case(
        {"net": seeded(Mlp)}, batches, MLP, call=lambda model, batch: model(batch[0]), confounders=[input_first]
    )


class Named(nn.Module):
    """Takes two inputs by name, one of them if it is there."""

    def __init__(self):
        super().__init__()
        self.seen = nn.Linear(6, 5)
        self.heard = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, seen, heard=None, *, louder=1.0):
        x = self.seen(seen)
        if heard is not None:
            x = x + louder * self.heard(heard)
        return self.head(torch.tanh(x))


NAMED = ("seen", "heard", "head")
ONE_OF_TWO = ["the batch has 2 inputs, and dCKA removes only batch"]


def two_inputs(make=dict, **more):
    return [make({"heard": b, "seen": a, **more}) for a, b in zip(noise(32, 6), noise(32, 4, seed=1))]


def heard(batch, outputs):
    """The first floating tensor of the mapping."""
    return batch["heard"]


@KINDS.row("batch: dict")
def dicts():
    call = lambda model, batch: model(batch["seen"], batch["heard"])  # noqa: E731
    return Case({"net": seeded(Named)}, two_inputs(), NAMED, call=call, confounders=[heard], notes=ONE_OF_TWO)


@KINDS.row("batch: dict with more keys")
def more_keys():
    """Labels are left out without a word; anything else is said."""
    batches = [{**batch, "labels": y, "path": ["a"] * 32} for batch, y in zip(two_inputs(), labels(32))]
    call = lambda model, batch: model(batch["seen"], batch["heard"])  # noqa: E731
    return Case({"net": seeded(Named)}, batches, NAMED, call=call, confounders=[heard], notes=["path", *ONE_OF_TWO])


@KINDS.row("batch: UserDict")
def user_dict():
    call = lambda model, batch: model(batch["seen"], batch["heard"])  # noqa: E731
    return Case({"net": seeded(Named)}, two_inputs(UserDict), NAMED, call=call, confounders=[heard], notes=ONE_OF_TWO)


@dataclass
class Heard:
    heard: Tensor
    seen: Tensor


@KINDS.row("batch: dataclass")
def dataclasses():
    call = lambda model, batch: model(batch.seen, batch.heard)  # noqa: E731
    removed = [lambda batch, outputs: batch.heard]
    return Case(
        {"net": seeded(Named)}, two_inputs(lambda one: Heard(**one)), NAMED, call=call, confounders=removed,
        notes=ONE_OF_TWO,
    )  # fmt: skip


@KINDS.row("batch: dict of one tensor under a name of its own")
def one_tensor():
    batches = [{"pixels": x, "label": y} for x, y in zip(noise(32, 6), labels(32))]
    return Case(
        {"net": seeded(Mlp)}, batches, MLP, call=lambda model, batch: model(batch["pixels"]),
        confounders=[lambda batch, outputs: batch["pixels"]],
    )  # fmt: skip


@KINDS.row("batch: ({...}, labels)")
def nested():
    batches = list(zip(two_inputs(), labels(32)))
    call = lambda model, batch: model(batch[0]["seen"], batch[0]["heard"])  # noqa: E731
    return Case(
        {"net": seeded(Named)}, batches, NAMED, call=call, confounders=[lambda batch, outputs: batch[0]["heard"]],
        notes=ONE_OF_TWO,
    )  # fmt: skip


@KINDS.row("batch: BatchEncoding")
def batch_encoding():
    """The mask hides nothing, so "flatten" takes in no padding."""
    from transformers import BatchEncoding

    batches = [BatchEncoding({"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}) for tokens in ids(32, 6)]
    layers = ["embeddings", "encoder.layer.0.attention", "encoder.layer.0", "pooler"]
    return Case({"net": bert()}, batches, layers, entry, call=by_name)


@KINDS.row("batch: BatchEncoding with padding, flattened")
def padded():
    from transformers import BatchEncoding

    batches = [
        BatchEncoding({"input_ids": tokens, "attention_mask": padding(32, 6, seed=number).long()})
        for number, tokens in enumerate(ids(32, 6))
    ]
    return Case(
        {"net": bert()}, batches, ["embeddings", "encoder.layer.0", "pooler"], call=by_name,
        notes=["padded tokens"],
    )  # fmt: skip


class Clip(nn.Module):
    """Two towers; it takes its inputs by name and requires none."""

    def __init__(self):
        super().__init__()
        self.text = nn.Embedding(40, 5)
        self.vision = nn.Conv2d(3, 5, 4, stride=4)
        self.head = nn.Linear(5, 3)

    def forward(self, input_ids=None, pixel_values=None, attention_mask=None, position_ids=None):
        seen, read = self.vision(pixel_values).mean((2, 3)), self.text(input_ids)
        if attention_mask is not None:
            read = read * attention_mask[..., None]
        return self.head(torch.tanh(seen + read.mean(1)))


@KINDS.row("batch: (pixel_values, labels, input_ids)")
def images_and_texts():
    """The kinds of the tensors and the names of the parameters fit in one way only."""
    batches = list(zip(noise(32, 3, 8, 8), labels(32), ids(32, 6)))
    call = lambda model, batch: model(input_ids=batch[2], pixel_values=batch[0])  # noqa: E731
    return Case(
        {"net": seeded(Clip)}, batches, ["text", "vision", "head"], call=call, confounders=[input_first],
        notes=ONE_OF_TWO,
    )  # fmt: skip


@KINDS.row("batch: [input_ids, mask, pixel_values]")
def texts_with_a_mask_and_images():
    masks = [padding(32, 6, seed=number).long() for number in range(3)]
    batches = [list(one) for one in zip(ids(32, 6), masks, noise(32, 3, 8, 8))]
    call = lambda model, batch: model(batch[0], batch[2], batch[1])  # noqa: E731
    removed = [lambda batch, outputs: outputs["net:text"]]
    return Case(
        {"net": seeded(Clip)}, batches, ["text", "vision", "head"], call=call, confounders=removed,
        explained=["net:text"], notes=["token ids", "padded tokens", *ONE_OF_TWO],
    )  # fmt: skip


@KINDS.row("batches of unequal size")
def unequal():
    batches = torch.cat(noise(50, 6)).split([40, 40, 40, 30])
    return Case({"net": seeded(Mlp)}, batches, MLP, confounders=[the_input])


class Endless(IterableDataset):
    """Samples without a number."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        for batch in self.batches:
            yield from batch


@KINDS.row("loader without a length")
def iterable():
    return Case(
        {"net": seeded(Mlp)}, noise(20, 6, count=5), MLP, loader=lambda batches: DataLoader(Endless(batches), 20),
        confounders=[the_input],
    )  # fmt: skip


@KINDS.row("loader that writes into one tensor")
def overwriting():
    """Each batch takes the place of the one before, while samples still wait to be joined."""

    def loader(batches):
        place = torch.empty_like(batches[0])
        for batch in batches:
            yield place.copy_(batch)

    return Case({"net": seeded(Mlp)}, noise(20, 6, count=5), MLP, loader=loader, confounders=[the_input])


@KINDS.row("batch: it requires gradients")
def differentiable():
    batches = [batch.requires_grad_() for batch in noise(20, 6, count=4)]
    return Case({"net": seeded(Mlp)}, batches, MLP, confounders=[the_input])


@KINDS.row("batch: torchvision Image")
def image_tensors():
    from torchvision.tv_tensors import Image

    batches = [Image(batch) for batch in noise(24, 3, 8, 8)]
    return Case({"net": seeded(Stairs)}, batches, ["conv1", "conv3", "head"], confounders=[the_input])
