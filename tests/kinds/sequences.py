"""Rows for outputs whose samples may not come first."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kinds.kind import Case, Table, flat
from kinds.nets import hidden, ids, noise, seeded, the_input
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


@KINDS.row("LSTM, batch first, as many steps as samples")
def lstm_batch_first_of_as_many():
    return recurrent(lambda: nn.LSTM(4, 6, batch_first=True), 6, 32, True)


@KINDS.row("GRU, steps first, as many steps as samples")
def gru_of_as_many():
    return recurrent(lambda: nn.GRU(4, 6), 6, 32, False)


@KINDS.row("RNN, steps first, both ways, as many steps and features as samples")
def rnn_of_as_many():
    return recurrent(lambda: nn.RNN(4, 16, bidirectional=True), 32, 32, False)


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


@KINDS.row("output: PackedSequence, as many steps as samples")
def packed_of_as_many():
    def read(output, batch):
        return pad_packed_sequence(output[0], batch_first=True)[0].flatten(1)

    batches = of_unequal_length(steps=32)
    return Case({"net": seeded(Packed)}, batches, ["rnn", "head"], {"rnn": read}, confounders=[the_input])


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
        notes=[r"dCKA removes only batch\[0\].*lambda batch: batch\[1\].movedim\(1, 0\)"],
    )  # fmt: skip


class LeftAsItComes(nn.Module):
    """Gives its input to a module of torch that wants its steps first, as it comes or by way of another layer."""

    def __init__(self, rnn, stem=False):
        super().__init__()
        self.stem = nn.Linear(4, 4) if stem else nn.Identity()
        self.rnn = rnn
        self.out = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        y = self.out(self.rnn(self.stem(x))[0])
        return self.head(torch.tanh(y).mean(0))


def turned_input(batch, outputs):
    return (batch if isinstance(batch, torch.Tensor) else batch[0]).transpose(0, 1).flatten(1)


def left_as_it_comes(steps, rnn=nn.LSTM, **more):
    """Batches (steps, samples, features), and nobody says so."""
    reads = {"rnn": turned, "out": turned, "stem": turned}
    return Case(
        {"net": seeded(lambda: LeftAsItComes(rnn(4, 6), **more))}, noise(steps, 32, 4), ["rnn", "out", "head"],
        reads, confounders=[turned_input],
    )  # fmt: skip


@KINDS.row("batch: steps first, into an LSTM")
def steps_into_lstm():
    return left_as_it_comes(7)


@KINDS.row("batch: steps first, into a GRU, as many steps as samples")
def as_many_steps_into_gru():
    return left_as_it_comes(32, nn.GRU)


@KINDS.row("batch: (steps first, labels), into a Linear and an LSTM")
def labels_tell_the_samples():
    """The labels are as many as the samples."""
    case = left_as_it_comes(7, stem=True)
    case.layers = ["stem", *case.layers]
    case.batches = [(x, torch.arange(32) % 3) for x in case.batches]
    case.call = lambda model, batch: model(batch[0])
    return case


@KINDS.row("batch: steps first, into a Linear and an LSTM, batch_dim given")
def batch_dim_tells_the_samples():
    case = left_as_it_comes(7, stem=True)
    case.layers, case.options = ["stem", *case.layers], {"batch_dim": 1}
    return case


class Attends(nn.Module):
    """Attention of torch with its steps first, called by keywords."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.attention(query=x, key=x, value=x)[0].mean(0))


@KINDS.row("batch: steps first, into attention")
def steps_into_attention():
    return Case(
        {"net": seeded(Attends)}, noise(7, 32, 4), ["attention", "head"], {"attention": turned},
        confounders=[turned_input],
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


def around(steps, model=AroundSteps, layers=("stem", "encoder.layers.0.linear1", "encoder.layers.0", "head")):
    """Layers that have their samples second, but for the head."""
    reads = {**dict.fromkeys(layers, turned), "head": flat}
    return Case({"net": seeded(model)}, noise(32, steps, 4), layers, reads, confounders=[the_input])


@KINDS.row("layers around a Transformer, steps first")
def around_steps():
    return around(6)


@KINDS.row("layers around a Transformer, steps first, as many steps as samples")
def around_as_many_steps():
    return around(32)


class AroundSteps2(nn.Module):
    """Layers before and after a recurrent layer of torch that wants its steps first."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.rnn = nn.LSTM(8, 6)
        self.out = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        steps, _ = self.rnn(self.norm(torch.tanh(self.stem(x.transpose(0, 1)))))
        return self.head(torch.tanh(self.out(steps)).mean(0))


@KINDS.row("layers around an LSTM, steps first, as many steps as samples")
def around_lstm():
    return around(32, AroundSteps2, ["stem", "norm", "rnn", "out", "head"])


class OwnAttention(nn.Module):
    """Attention by hand with its steps first, and nothing of torch that says so."""

    def __init__(self, d=8, heads=2):
        super().__init__()
        self.stem = nn.Linear(4, d)
        self.qkv = nn.Linear(d, 3 * d)
        self.split = nn.Identity()
        self.out = nn.Linear(d, d)
        self.head = nn.Linear(d, 3)
        self.heads = heads

    def forward(self, x):
        x = self.stem(x.transpose(0, 1))
        q, k, v = self.split(self.qkv(x).unflatten(2, (3, self.heads, -1))).unbind(2)
        weights = torch.einsum("inhd,jnhd->nhij", q, k).softmax(-1)
        return self.head(self.out(torch.einsum("nhij,jnhd->inhd", weights, v).flatten(2)).mean(0))


@KINDS.row("attention by hand, steps first, as many steps as samples")
def own_attention():
    """Queries, keys and values have five dimensions."""
    return around(32, OwnAttention, ["stem", "qkv", "split", "out", "head"])


@KINDS.row("attention by hand, steps first")
def own_attention_of_other_lengths():
    """The tensor of five dimensions is no (steps, n, features), but other layers had a probing pass."""
    return around(7, OwnAttention, ["stem", "qkv", "split", "out", "head"])


class Experts(nn.Module):
    """A mixture of experts: router and experts see the tokens of all samples one after the other."""

    def __init__(self, steps_first=False, d=8):
        super().__init__()
        self.stem = nn.Linear(4, d)
        self.router = nn.Linear(d, 3)
        self.experts = nn.ModuleList(nn.Linear(d, d) for _ in range(3))
        self.head = nn.Linear(d, 2)
        self.steps_first = steps_first

    def forward(self, x):
        x = self.stem(x.transpose(0, 1) if self.steps_first else x)
        flat = x.flatten(0, 1)
        weights = self.router(flat).softmax(1)
        mixed = sum(weight[:, None] * expert(flat) for weight, expert in zip(weights.unbind(1), self.experts))
        return self.head(mixed.view_as(x).mean(0 if self.steps_first else 1))


def experts(steps_first, n, steps):
    """In the table of a sample follow its tokens, in their order."""

    def by_token(output, batch):
        return output.unflatten(0, (-1, n)).transpose(0, 1).flatten(1)

    def by_sample(output, batch):
        return output.unflatten(0, (n, -1)).flatten(1)

    read = by_token if steps_first else by_sample
    reads = {"stem": turned if steps_first else flat, "head": flat}
    return Case(
        {"net": seeded(lambda: Experts(steps_first))}, noise(n, steps, 4), ["stem", "router", "experts.1", "head"],
        {"router": read, "experts.1": read, **reads}, confounders=[the_input],
    )  # fmt: skip


@KINDS.row("experts that see the tokens of all samples")
def moe():
    return experts(False, 32, 7)


@KINDS.row("experts that see the tokens of all samples, as many as samples")
def moe_of_as_many():
    return experts(False, 32, 32)


@KINDS.row("experts that see the tokens of all samples, steps first")
def moe_steps_first():
    return experts(True, 32, 7)


@KINDS.row("experts that see the tokens of all samples, steps first, as many as samples")
def moe_steps_first_of_as_many():
    return experts(True, 32, 32)


@KINDS.row("experts that see the tokens of batches of several lengths")
def moe_of_lengths():
    case = experts(False, 32, 7)
    case.batches = [batch for steps in (7, 5, 9) for batch in noise(32, steps, 4, seed=steps, count=1)]
    case.options, case.confounders = {"representation": "mean"}, ()
    case.read = {
        "stem": lambda output, batch: output.mean(1),
        "router": lambda output, batch: output.unflatten(0, (32, -1)).mean(1),
        "experts.1": lambda output, batch: output.unflatten(0, (32, -1)).mean(1),
        "head": flat,
    }
    return case


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


class Placed(nn.Module):
    """Position embeddings (steps, p), which are the same for all samples."""

    def __init__(self, width=8):
        super().__init__()
        self.words, self.places, self.head = nn.Embedding(40, width), nn.Embedding(40, width), nn.Linear(width, 5)

    def forward(self, ids):
        return self.head(torch.tanh(self.words(ids) + self.places(torch.arange(ids.shape[1]))))


@KINDS.row("position embeddings, as many steps as samples")
def positions_of_as_many():
    """They are no samples, however many they are."""
    reason = "has no tensor with the batch's 16 samples"
    return Case(
        {"net": seeded(Placed)}, ids(16, 16), ["words", "places", "head"], options={"measures": "cka"},
        reasons={"net:places": reason},
    )  # fmt: skip


@KINDS.row("steps first in four dimensions, as many steps as samples")
def clips():
    """(steps, samples, channels, length), of which the first two are as many."""

    class Clips(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(5, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.two(torch.tanh(self.one(x)).transpose(0, 1))

    return Case(
        {"net": seeded(Clips)}, noise(16, 16, 2, 5), ["one", "two"], {"two": lambda y, x: y.transpose(0, 1).flatten(1)}
    )
