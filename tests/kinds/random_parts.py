"""Parts of random networks. Each layer carries what its output means: how it is laid out, and whose tokens it has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Meaning(NamedTuple):
    """What a layer's output means."""

    layout: str
    """n samples, t tokens, p features in the order of the dimensions: "t n p" is (tokens, samples, features)

    "nt p" has all tokens of the first sample, then those of the second. "packed" is a packed sequence. "real p" has the
    real tokens alone, and "some p" any others: no sample has a vector of its own.
    """
    tokens: str = ""
    """the name of the sequence whose tokens these are; its mask is found under this name"""


def means(layer: nn.Module, *meanings: Meaning) -> nn.Module:
    """The layer, with the meaning of its output in each of its calls."""
    layer.meanings = meanings
    return layer


def laid_out(x: Tensor, layout: str) -> Tensor:
    """A tensor (n, t) or (n, t, p) in another layout."""
    if layout in ("t n p", "tn p"):
        x = x.transpose(0, 1)
    elif layout == "n p t":
        x = x.transpose(1, 2)
    return x.flatten(0, 1) if layout in ("nt p", "tn p") else x


def by_token(y: Tensor, layout: str, n: int) -> Tensor:
    """(n, t, p) again."""
    if layout == "nt p":
        return y.unflatten(0, (n, -1))
    if layout == "tn p":
        return y.unflatten(0, (-1, n)).transpose(0, 1)
    if layout == "n p h w":
        return y.flatten(2).transpose(1, 2)
    return {"t n p": y.transpose(0, 1), "n p t": y.transpose(1, 2)}.get(layout, y) if y.ndim == 3 else y


class Attention(nn.Module):
    """One head of attention, of a sequence on itself or on another one, whose keys and values are then the other's."""

    def __init__(self, d, layout, tokens, others):
        super().__init__()
        self.dims = (0, 1) if layout == "n t p" else (1, 0)
        self.query, self.out = (means(nn.Linear(d, d), Meaning(layout, tokens)) for _ in range(2))
        self.key, self.value = (means(nn.Linear(d, d), Meaning(layout, others)) for _ in range(2))
        means(self, Meaning(layout, tokens))

    def forward(self, x, pad=None, memory=None):
        memory = x if memory is None else memory
        query, key, value = (
            y.movedim(self.dims, (0, 1)) for y in (self.query(x), self.key(memory), self.value(memory))
        )
        scores = query @ key.transpose(1, 2) / key.shape[-1] ** 0.5
        if pad is not None:
            scores = scores.masked_fill(pad[:, None], -torch.inf)
        return self.out((scores.softmax(2) @ value).movedim((0, 1), self.dims))


class Packed(nn.Module):
    """A recurrent layer over packed sequences, which come back as long as the longest, or as long as they were."""

    def __init__(self, rnn, whole):
        super().__init__()
        self.rnn, self.whole = rnn, whole

    def forward(self, x, pad=None):
        lengths = torch.full((len(x),), x.shape[1]) if pad is None else (~pad).sum(1)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], True, total_length=x.shape[1] if self.whole else None)[0]


def transformer_layer(d, layout, tokens):
    layer = nn.TransformerEncoderLayer(d, 2 if d % 2 == 0 else 1, 2 * d, batch_first=layout == "n t p")
    for one in (layer.self_attn, layer.linear1, layer.norm2):
        means(one, Meaning(layout, tokens))
    return layer


def multihead(d, layout, tokens):
    return nn.MultiheadAttention(d, 1, batch_first=layout == "n t p")


def recurrent(kind, **options):
    return lambda d, layout, tokens: kind(d, d, batch_first=layout == "n t p", **options)


@dataclass(frozen=True)
class LayerKind:
    """How a layer (d features to d features) is made, in which layouts, and how it is called."""

    make: Callable[[int, str, str], nn.Module]
    layouts: tuple[str, ...] = ("n t p", "t n p")
    call: Callable[[nn.Module, Tensor, Tensor | None], Tensor] = lambda layer, x, pad: layer(x)


def first(layer, x, pad):
    return layer(x)[0]


def both_ways(layer, x, pad):
    return sum(layer(x)[0].chunk(2, -1))


ANY = ("n t p", "t n p", "n t p", "t n p", "nt p", "tn p")
LAYERS = {
    "linear": LayerKind(lambda d, layout, tokens: nn.Linear(d, d), ANY),
    "norm": LayerKind(lambda d, layout, tokens: nn.LayerNorm(d), ANY),
    "attention": LayerKind(lambda d, layout, t: Attention(d, layout, t, t), call=lambda layer, x, pad: layer(x, pad)),
    "transformer": LayerKind(transformer_layer, call=lambda layer, x, pad: layer(x, src_key_padding_mask=pad)),
    "multihead": LayerKind(multihead, call=lambda layer, x, pad: layer(x, x, x, key_padding_mask=pad)[0]),
    "conv": LayerKind(lambda d, layout, tokens: nn.Conv1d(d, d, 3, padding=1), ("n p t",)),
}
RECURRENT = {
    "RNN": LayerKind(recurrent(nn.RNN), call=first),
    "GRU": LayerKind(recurrent(nn.GRU), call=first),
    "LSTM": LayerKind(recurrent(nn.LSTM), call=first),
    "GRU, both ways": LayerKind(recurrent(nn.GRU, bidirectional=True), call=both_ways),
    "LSTM, two layers": LayerKind(recurrent(nn.LSTM, num_layers=2), call=first),
}


class Part(nn.Module):
    """A layer that sees the tokens in a layout of its own, inside a network of (n, t, p)."""

    def __init__(self, kind, d, layout, tokens):
        super().__init__()
        self.layout, self.call = layout, kind.call
        self.layer = means(kind.make(d, layout, tokens), Meaning(layout, tokens))

    def forward(self, x, pad=None):
        return by_token(self.call(self.layer, laid_out(x, self.layout), pad), self.layout, len(x))


class Stack(nn.Module):
    """Some parts over the tokens of one sequence (n, t, d); all in one layout, or each in its own."""

    def __init__(self, rng, d, tokens, depth, kinds=LAYERS):
        super().__init__()
        self.parts = nn.ModuleList()
        common = rng.choice([None, "n t p", "t n p"])
        for _ in range(depth):
            kind = kinds[rng.choice(list(kinds))]
            layout = common if common in kind.layouts else rng.choice(kind.layouts)
            self.parts.append(Part(kind, d, layout, tokens))
        for module in (self, *self.parts):
            if rng.random() < 0.4:
                means(module, Meaning("n t p", tokens))

    def forward(self, x, pad=None):
        for part in self.parts:
            x = x + part(x, pad)
        return x


def stem(rng, is_ids, d, *tokens):
    """The first layer, called for each sequence: an embedding of ids (n, t), or linear on features (n, t, 4)."""
    layout = rng.choice(["n t p", "n t p", "t n p"])
    layer = nn.Embedding(40, d) if is_ids else nn.Linear(4, d)
    part = Part(LayerKind(lambda *_: layer), d, layout, "")
    means(layer, *(Meaning(layout, one) for one in tokens))
    return part


class Across(nn.Module):
    """Attention of one sequence (n, t, d) on another one, in a layout of its own."""

    def __init__(self, rng, d, tokens, others):
        super().__init__()
        self.layout = rng.choice(["n t p", "t n p"])
        self.attention = Attention(d, self.layout, tokens, others)

    def forward(self, x, memory, pad=None):
        y = self.attention(laid_out(x, self.layout), pad, laid_out(memory, self.layout))
        return x + by_token(y, self.layout, len(x))


def pooled(x, pad=None):
    """The mean of the real tokens: (n, t, p) -> (n, p)."""
    if pad is None:
        return x.mean(1)
    return x.masked_fill(pad[..., None], 0).sum(1) / (~pad).sum(1, keepdim=True)


def head(d, q=5):
    return means(nn.Linear(d, q), Meaning("n p"))
