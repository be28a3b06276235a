"""Rows for outputs (n, p, p), in which tokens may be taken for features."""

import torch
from torch import nn

from kinds.kind import Case, Table
from kinds.masks import MEAN, vectors
from kinds.nets import seeded

KINDS = Table()


class Turning(nn.Module):
    """A convolution over tokens, between two turns, with as many features as there are tokens in some batches."""

    def __init__(self, width=6):
        super().__init__()
        self.words, self.conv, self.head = nn.Linear(4, width), Turned(width), nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.conv(torch.tanh(self.words(x))))


class Turned(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, x):
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


@KINDS.row("as many features as tokens, in a block that turns")
def turning():
    batches = [vectors(32, tokens, seed=tokens + number) for number, tokens in enumerate((6, 6, 5))]
    return Case({"net": seeded(Turning)}, batches, ["words", "conv", "head"], lambda x, batch: x.mean(1), MEAN)


@KINDS.row("as many features as tokens in a later batch, in a block that turns")
def turning_late():
    batches = [vectors(32, tokens, seed=tokens + number) for number, tokens in enumerate((5, 6, 6))]
    return Case({"net": seeded(Turning)}, batches, ["words", "conv", "head"], lambda x, batch: x.mean(1), MEAN)


def turning_with_one_length(representation, **more):
    class OneLength(Turning):
        def forward(self, x):
            return super().forward(x + torch.linspace(0, 1, 24).view(6, 4))

    batches = [vectors(32, 6, seed=number) for number in range(3)]
    layers = ["words", "conv", "head"]
    options = {"representation": representation}
    return Case({"net": seeded(OneLength)}, batches, layers, lambda x, batch: x.mean(1), options, **more)


@KINDS.row("as many features as tokens, in a block that turns, in a network of one length")
def turning_unclear():
    reason = "has as many tokens as features, and a pass over shorter sequences did not tell them apart"
    return turning_with_one_length("mean", reasons={"net:conv": reason})


@KINDS.row("as many features as tokens, in a block that turns, with a callable")
def turning_by_callable():
    """What the reason for the last row says."""
    return turning_with_one_length({"conv": lambda x: x.mean(1), "*": "mean"})
