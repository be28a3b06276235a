"""Rows for what people do with networks: shared and repeated modules, shapes that change, forward passes that write."""

import copy

import torch
import torch.utils.checkpoint
from torch import nn

from kinds.kind import Case, Table
from kinds.nets import MLP, Mlp, entry, hidden, noise, seeded, the_input

KINDS = Table()


class Overwrites(nn.Module):
    """Begins in place, on what it is given."""

    def __init__(self):
        super().__init__()
        self.act = nn.LeakyReLU(0.1, inplace=True)
        self.one = nn.Linear(6, 9)

    def forward(self, x):
        return self.one(self.act(x.mul_(3).add_(1)))


@KINDS.row("networks that write into their input")
def overwrites():
    """None sees what another one wrote, and the loader's tensor stays as it is."""
    models = {name: seeded(Overwrites, seed) for seed, name in enumerate("abc")}
    return Case(models, noise(32, 6), ["act", "one"], confounders=[the_input])


@KINDS.row("one network as both models")
def twice():
    model = seeded(Mlp)
    return Case({"a": model, "b": model}, noise(32, 6), MLP, confounders=[the_input])


class OnStem(nn.Module):
    """A trunk that other networks stand on too."""

    def __init__(self, stem, q):
        super().__init__()
        self.stem = stem
        self.head = nn.Linear(4, q)

    def forward(self, x):
        return self.head(torch.tanh(self.stem(x)))


@KINDS.row("two networks with modules in common")
def shared():
    stem = seeded(Mlp)
    models = {"a": seeded(lambda: OnStem(stem, 3), 1), "b": seeded(lambda: OnStem(stem, 5), 2)}
    return Case(models, noise(32, 6), ["stem.one", "stem", "head"], confounders=[the_input])


class Repeats(nn.Module):
    """Runs one layer three times, and its activation in place."""

    def __init__(self):
        super().__init__()
        self.step = nn.Linear(6, 6)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        for _ in range(3):
            x = x + self.relu(self.step(x))
        return self.head(x)


@KINDS.row("a layer that runs several times")
def repeats():
    return Case({"net": seeded(Repeats)}, noise(32, 6), ["step", "relu", "head"], confounders=[the_input])


class Sometimes(nn.Module):
    """A layer that only some batches need."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(6, 9)
        self.rare = nn.Linear(9, 9)
        self.head = nn.Linear(9, 3)

    def forward(self, x):
        kind, x = x[0, 0], self.one(x)
        return self.head(torch.tanh(self.rare(x) if kind > 0 else x))


@KINDS.row("a layer that runs in some batches only")
def sometimes():
    batches = noise(32, 6)
    for batch, sign in zip(batches, (1, -1, 1)):
        batch[0, 0] = sign
    return Case(
        {"net": seeded(Sometimes)}, batches, ["one", "rare", "head"], confounders=[the_input],
        reasons={"net:rare": "did not run in every forward pass"},
    )  # fmt: skip


class Attention(nn.Module):
    """Asks for the weights as well, which come second."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.turned = nn.MultiheadAttention(8, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = x + self.attention(x, x, x)[0]
        x = x.transpose(0, 1)
        return self.head(self.turned(x, x, x, need_weights=False)[0].mean(0))


@KINDS.row("MultiheadAttention")
def attention():
    """As many tokens as samples."""
    reading = {"attention": entry, "turned": lambda output, batch: output[0].transpose(0, 1).flatten(1)}
    layers = ["attention", "turned", "head"]
    return Case({"net": seeded(Attention)}, noise(32, 32, 8), layers, reading, confounders=[the_input])


@KINDS.row("TransformerEncoderLayer as one fused operation")
def fused():
    """Its submodules have no outputs, unless that is prevented."""
    model = seeded(lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 3)))
    layers = ["0.self_attn", "0.linear1", "0.norm1", "0.linear2", "0.norm2", "0", "1"]
    return Case({"net": model}, noise(32, 5, 8), layers, entry, confounders=[the_input])


class Steps(nn.Module):
    """Takes sequences of any length."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 6)
        self.rnn = nn.GRU(6, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.rnn(torch.tanh(self.one(x)))[0])


def lengths():
    return [*noise(24, 5, 4, count=1), *noise(24, 9, 4, count=1), *noise(24, 7, 4, count=2)]


@KINDS.row("batches of changing length, mean")
def changing_mean():
    def over_steps(output, batch):
        return hidden(output, batch).mean(1)

    layers, options = ["one", "rnn", "head"], {"representation": "mean", "confounder": over_time}
    return Case(
        {"net": seeded(Steps)}, lengths(), layers, over_steps, options,
        confounders=[lambda batch, outputs: batch.mean(1)],
    )  # fmt: skip


def over_time(batch):
    return batch.mean(1)


@KINDS.row("batches of changing length, flattened")
def changing_flat():
    layers, options = ["one", "rnn", "head"], {"gram_batch": 1}
    return Case({"net": seeded(Steps)}, lengths(), layers, entry, options, confounders=[the_input])


class Checkpointed(nn.Module):
    """Computes its middle again for gradients, which there are none of."""

    def __init__(self, reentrant):
        super().__init__()
        self.stem = nn.Linear(6, 6)
        self.middle = Mlp()
        self.head = nn.Linear(4, 3)
        self.reentrant = reentrant

    def forward(self, x):
        x = self.stem(x)
        return self.head(torch.utils.checkpoint.checkpoint(self.middle, x, use_reentrant=self.reentrant))


@KINDS.row("activation checkpointing")
def checkpointed():
    models = {name: seeded(lambda: Checkpointed(name == "reentrant")) for name in ("reentrant", "not reentrant")}  # noqa: B023
    layers = ["stem", "middle.one", "middle.two", "middle", "head"]
    foreign = ["None of the inputs have requires_grad"]
    return Case(models, noise(32, 6), layers, confounders=[the_input], foreign=foreign)


class Drawn(list):
    """What a network drew; its copies have the very list."""

    def __deepcopy__(self, memo):
        return self


class Drops(nn.Module):
    """Dropout that never rests, once it has begun. It notes what it drew, so that a copy can do the same again."""

    def __init__(self, begins=0):
        super().__init__()
        self.one = nn.Linear(6, 9)
        self.drop = nn.Identity()
        self.head = nn.Linear(9, 3)
        self.begins = begins
        self.drawn = Drawn()

    def forward(self, x):
        x = self.one(x)
        noise = torch.ones_like(x)
        self.drawn.append(noise if len(self.drawn) < self.begins else nn.functional.dropout(noise, 0.4, training=True))
        return self.head(self.drop(x * self.drawn[-1]))

    def again(self, x):
        return self.head(self.drop(self.one(x) * self.drawn.pop(0)))


@KINDS.row("random numbers in evaluation mode")
def drops():
    return Case(
        {"net": seeded(Drops)}, noise(32, 6), ["one", "drop", "head"], call=lambda model, batch: model.again(batch),
        confounders=[the_input],
    )  # fmt: skip


@KINDS.row("random numbers from the second batch on")
def drops_later():
    case = drops()
    case.models["net"].begins = 1
    case.draws_late = True
    return case


class Counts(nn.Module):
    """Counts its forward passes in two buffers, one written in place and one made anew, and computes with both."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(6, 9)
        self.head = nn.Linear(9, 3)
        self.register_buffer("passes", torch.zeros(()))
        self.register_buffer("anew", torch.zeros(2, dtype=torch.long))

    def forward(self, x):
        self.passes += 1
        self.anew = self.anew + 1
        return self.head(torch.sin(self.one(x) * self.passes) + self.anew[0])


@KINDS.row("buffers that are written in evaluation mode")
def counts():
    return Case({"net": seeded(Counts)}, noise(32, 6), ["one", "head"], confounders=[the_input])


class CountsUnseen(Counts):
    """Writes behind the back of what counts writes."""

    def forward(self, x):
        self.passes.data.add_(1)
        return self.head(torch.sin(self.one(x) * self.passes))


@KINDS.row("a buffer whose data are written in evaluation mode")
def counts_unseen():
    return Case({"net": seeded(CountsUnseen)}, noise(32, 6), ["one", "head"], confounders=[the_input])


@KINDS.row("buffers that are written in inference mode")
def counts_in_inference_mode():
    """Tensors that are made there do not count how often they are written into."""
    case = counts()
    case.around = torch.inference_mode
    return case


@KINDS.row("a device for each model")
def devices():
    """Two names of one device, which are not equal to torch."""
    models = {"net": seeded(Mlp), "counts": seeded(Counts, 1)}
    layers = {"net": MLP, "counts": ["one", "head"]}
    return Case(models, noise(32, 6), layers, options={"device": ("cpu", "cpu:0")}, confounders=[the_input])


@KINDS.row("a copy with tied weights")
def tied():
    """Two layers have one Parameter."""
    model = seeded(Mlp)
    model.two.weight = nn.Parameter(torch.randn(9, 9))
    other = copy.deepcopy(model)
    other.extra = nn.Linear(9, 9)
    other.extra.weight = other.two.weight
    other.head = nn.Sequential(other.extra, other.head)
    return Case({"a": model, "b": other}, noise(32, 6), ["one", "two", "head"], confounders=[the_input])
