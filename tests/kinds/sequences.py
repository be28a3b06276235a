"""Rows for outputs whose samples may not come first."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kinds.kind import Case, Table, flat
from kinds.nets import hidden, noise, seeded, the_input
from kinds.outputs import wrapped

KINDS = Table()


def turned(output, batch):
    return hidden(output, batch).transpose(0, 1).flatten(1)


class Recurrent(nn.Module):
    """Samples come first outside, and where the recurrent layer wants them inside."""

    def __init__(self, rnn, width):
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        if self.rnn.batch_first:
            return self.head(self.rnn(x)[0])
        return self.head(self.rnn(x.transpose(0, 1))[0].transpose(0, 1))


def recurrent(rnn, width, steps, batch_first):
    def read(output, batch):
        return (output[0] if batch_first else output[0].transpose(0, 1)).flatten(1)

    model = seeded(lambda: Recurrent(rnn(), width))
    return Case({"net": model}, noise(32, steps, 4), ["rnn", "head"], {"rnn": read}, confounders=[the_input])


@KINDS.row("LSTM, batch first")
def lstm_batch_first():
    return recurrent(lambda: nn.LSTM(4, 6, batch_first=True), 6, 7, True)


@KINDS.row("LSTM, steps first")
def lstm():
    """As many steps as samples: the shape alone does not tell them apart."""
    return recurrent(lambda: nn.LSTM(4, 6), 6, 32, False)


@KINDS.row("GRU, batch first, both ways")
def gru_batch_first():
    return recurrent(lambda: nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True), 10, 32, True)


@KINDS.row("GRU, steps first")
def gru():
    return recurrent(lambda: nn.GRU(4, 6), 6, 7, False)


class Packed(nn.Module):
    """The recurrent layer sees packed sequences; steps of zeros are padding."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        lengths = (x != 0).any(2).sum(1)
        _, (last, _) = self.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        return self.head(last[0])


def of_unequal_length(n=32, steps=5):
    """Sequences of 1 to `steps` steps, the first one of all; zeros are padding."""
    batches = noise(n, steps, 4)
    for number, batch in enumerate(batches):
        lengths = torch.randint(1, steps + 1, (n, 1), generator=torch.Generator().manual_seed(number))
        lengths[0] = steps
        batch.mul_((torch.arange(steps) < lengths)[..., None])
    return batches


@KINDS.row("output: PackedSequence")
def packed_sequence():
    def read(output, batch):
        return pad_packed_sequence(output[0], batch_first=True)[0].flatten(1)

    model = seeded(Packed)
    return Case({"net": model}, of_unequal_length(), ["rnn", "head"], {"rnn": read}, confounders=[the_input])


@KINDS.row("output: PackedSequence, mean")
def mean_of_packed_sequence():
    """The packed sequence itself tells which steps are real."""

    def read(output, batch):
        padded, lengths = pad_packed_sequence(output[0], batch_first=True)
        return padded.double().sum(1) / lengths[:, None]

    options = {"representation": "mean"}
    return Case({"net": seeded(Packed)}, of_unequal_length(), ["rnn", "head"], {"rnn": read}, options)


@KINDS.row("Transformer, steps first")
def transformer():
    """The order of torch itself, of the inputs too, with as many source tokens as samples."""
    model = seeded(lambda: nn.Transformer(8, 2, 1, 1, 16))
    layers = ["encoder.layers.0.linear1", "encoder.layers.0", "encoder.norm", "decoder.layers.0.multihead_attn",
              "decoder.layers.0", "decoder"]  # fmt: skip
    batches = list(zip(noise(32, 32, 8), noise(5, 32, 8, seed=1)))
    return Case(
        {"net": model}, batches, layers, turned, call=lambda model, batch: model(*batch),
        confounders=[lambda batch, outputs: batch[0].transpose(0, 1).flatten(1)],
    )  # fmt: skip


class StepsFirst(nn.Module):
    """Works on (steps, n, features), and nothing but its author knows it."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 7)
        self.two = nn.Linear(7, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.two(torch.tanh(self.one(x)))).mean(0))


@KINDS.row("batch_dim given")
def batch_dim():
    return Case(
        {"net": seeded(StepsFirst)}, noise(6, 32, 4), ["one", "two", "head"], {"one": turned, "two": turned},
        {"batch_dim": 1}, confounders=[lambda batch, outputs: batch.transpose(0, 1).flatten(1)],
    )  # fmt: skip


@KINDS.row("batch_dim of one layer")
def batch_dim_of_a_layer():
    """Samples come last there, and as many features first."""

    def wrap(y):
        return (y[:, None] * torch.arange(1.0, 33.0)[:, None]).sin().movedim(0, 2)

    case = wrapped(wrap, lambda out: out.mean(0).T, lambda out, batch: out.movedim(2, 0).flatten(1))
    case.options = {"batch_dim": {"part": 2}}
    return case


class AroundSteps(nn.Module):
    """Layers outside torch's transformer, which cannot tell the order of its input."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encoder(self.stem(x.transpose(0, 1))).mean(0))


@KINDS.row("layers around a Transformer, steps first")
def around_steps():
    """Their shape tells that the samples are second, and a note says so."""
    layers = ["stem", "encoder.layers.0.linear1", "encoder.layers.0", "head"]
    return Case(
        {"net": seeded(AroundSteps)}, noise(32, 6, 4), layers, {**dict.fromkeys(layers, turned), "head": flat},
        confounders=[the_input], notes=["'stem' seems to have its samples in dimension 1"],
    )  # fmt: skip


class Cells(nn.Module):
    """A cell that runs once a step, and gives its output and its state."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state[0])


@KINDS.row("LSTMCell")
def cells():
    reading = {"cell": lambda output, batch: output[0]}
    return Case({"net": seeded(Cells)}, noise(32, 4, 4), ["cell", "head"], reading, confounders=[the_input])
