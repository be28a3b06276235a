"""Rows for means over space or steps: which dimension holds the features."""

import torch
from torch import nn

from kinds.kind import Case, Table
from kinds.nets import Stairs, noise, over_space, seeded, the_input

KINDS = Table()
MEAN = {"representation": "mean"}
STAIRS = ("conv1", "norm", "conv2", "conv3", "head")


@KINDS.row("mean over space")
def mean_over_space():
    return Case({"net": seeded(Stairs)}, noise(32, 3, 8, 8), STAIRS, over_space, MEAN, confounders=[the_input])


@KINDS.row("mean over space, channels last in memory")
def mean_channels_last():
    model = seeded(Stairs).to(memory_format=torch.channels_last)
    batches = [batch.to(memory_format=torch.channels_last) for batch in noise(32, 3, 8, 8)]
    return Case({"net": model}, batches, STAIRS, over_space, MEAN, confounders=[the_input])


@KINDS.row("mean over space, features last inside")
def mean_turned_inside():
    """A block of linear layers that turns the maps and turns them back; as many channels as rows and columns."""
    from torchvision.models.convnext import CNBlock

    class Blocks(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 1)
            self.block = CNBlock(8, 1.0, 0.0)
            self.head = nn.Conv2d(8, 5, 1)

        def forward(self, x):
            return self.head(self.block(self.stem(x)))

    layers = ["stem", "block", "head"]
    return Case({"net": seeded(Blocks)}, noise(32, 3, 8, 8), layers, over_space, MEAN, confounders=[the_input])


def swin():
    from torchvision.models import SwinTransformer

    return SwinTransformer([2, 2], 16, [2, 1], [2, 2], [4, 4], stochastic_depth_prob=0.0, num_classes=5)


def features_last(output, batch):
    return output.mean((1, 2)) if output.ndim == 4 else output


@KINDS.row("mean over space, features last")
def mean_features_last():
    """As many channels as rows and columns, so that only the kinds of the modules tell which is which."""
    layers = ["features.0.0", "features.0.2", "features.1.0.attn", "features.1.0", "features.1.1", "features.2.norm",
              "features.3.0", "norm", "head"]  # fmt: skip
    reading = {"features.0.0": over_space} | dict.fromkeys(layers[1:], features_last)
    return Case({"net": seeded(swin)}, noise(24, 3, 32, 32), layers, reading, MEAN)


@KINDS.row("mean over space, an activation alone")
def mean_of_activation():
    """It has no features of its own, and nothing else is chosen that could tell."""
    layers = ["features.1.0.mlp.1", "features.3.0.mlp.1"]
    return Case({"net": seeded(swin)}, noise(24, 3, 32, 32), layers, features_last, MEAN)


class Signals(nn.Module):
    """Convolutions over time, with as many channels as steps."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(2, 8, 3, padding=1)
        self.norm = nn.BatchNorm1d(8)
        self.act = nn.GELU()
        self.conv2 = nn.Conv1d(8, 5, 2, stride=2)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.conv2(self.act(self.norm(self.conv1(x)))).mean(2))


@KINDS.row("mean over steps, channels first")
def mean_over_steps():
    def read(output, batch):
        return output.mean(2) if output.ndim == 3 else output

    layers = ["conv1", "norm", "act", "conv2", "head"]
    return Case({"net": seeded(Signals)}, noise(32, 2, 8), layers, read, MEAN, confounders=[the_input])


@KINDS.row("mean over time and space")
def mean_over_video():
    model = seeded(lambda: nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv3d(4, 4, 2, 2)))
    return Case({"net": model}, noise(32, 2, 4, 4, 4), ["0", "1", "2"], lambda out, batch: out.mean((2, 3, 4)), MEAN)
