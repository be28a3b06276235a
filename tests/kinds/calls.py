"""Rows for how a batch reaches the models."""

import torch
from torch import nn

from kinds.batches import ONE_OF_TWO, input_first, labels
from kinds.kind import Case, Table
from kinds.nets import MLP, Mlp, Stairs, noise, seeded

KINDS = Table()


class Pair(nn.Module):
    """Needs two inputs."""

    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 5)
        self.right = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, a, b, scale=1.0):
        return self.head(torch.tanh(self.left(a) * self.right(b) * scale))


@KINDS.row("several inputs in order")
def several():
    """A third entry is not for a parameter with a default."""
    batches = list(zip(noise(32, 6), noise(32, 4, seed=1), labels(32)))
    call = lambda model, batch: model(batch[0], batch[1])  # noqa: E731
    layers = ["left", "right", "head"]
    return Case({"net": seeded(Pair)}, batches, layers, call=call, confounders=[input_first], notes=ONE_OF_TWO)


@KINDS.row("two models, of which one needs two inputs")
def several_and_one():
    batches = list(zip(noise(32, 6), noise(32, 4, seed=1)))
    return Case(
        {"pair": seeded(Pair), "net": seeded(Mlp, 1)}, batches, {"pair": ["left", "right", "head"], "net": MLP},
        call={"pair": lambda model, batch: model(*batch), "net": lambda model, batch: model(batch[0])},
        confounders=[input_first], notes=ONE_OF_TWO,
    )  # fmt: skip


class Optional(nn.Module):
    """Needs one input, and takes two more if they are there."""

    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 5)
        self.right = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, left, right=None, extra=None, mask=None, scale=1.0):
        x = torch.tanh(self.left(left))
        if right is not None:
            x = x * torch.tanh(self.right(right))
        return self.head(scale * (x if extra is None else x + extra))


@KINDS.row("an optional input that the model does not get")
def not_reached():
    """The second entry may belong to either of two parameters."""
    batches = list(zip(noise(32, 6), noise(32, 4, seed=1), labels(32)))
    return Case(
        {"net": seeded(Optional)}, batches, ["left", "right", "head"], call=lambda model, batch: model(batch[0]),
        confounders=[input_first],
        reasons={"net:right": r"never ran: the model did not get batch[1], and nothing was passed to right, extra"},
        notes=["layer 'right' of model 'net' never ran"],
    )  # fmt: skip


@KINDS.row("forward=")
def forward():
    """The function gets the whole batch; it may do with the model what it likes."""

    def twice_as_large(model, batch):
        assert list(batch) == ["views", "labels"]
        return model(2 * batch["views"]["near"])

    batches = [{"views": {"near": x}, "labels": y} for x, y in zip(noise(32, 6), labels(32))]
    return Case(
        {"net": seeded(Mlp)}, batches, MLP, options={"forward": twice_as_large},
        call=lambda model, batch: model(2 * batch["views"]["near"]),
        confounders=[lambda batch, outputs: batch["views"]["near"]],
    )  # fmt: skip


@KINDS.row("inputs= at two resolutions")
def two_resolutions():
    def fine(batch):
        return batch[0]

    def coarse(batch):
        return nn.functional.avg_pool2d(batch[0], 2)

    batches = list(zip(noise(24, 3, 16, 16), labels(24)))
    layers = ["conv1", "conv2", "head"]
    return Case(
        {"fine": seeded(Stairs), "coarse": seeded(Stairs, 1)}, batches, layers, options={"inputs": (fine, coarse)},
        call={"fine": lambda model, batch: model(fine(batch)), "coarse": lambda model, batch: model(coarse(batch))},
        confounders=[input_first],
    )  # fmt: skip


@KINDS.row("one network, clean and noisy")
def clean_and_noisy():
    """It runs once for each of its names."""

    def noisy(batch):
        return batch + batch.roll(1, 1).sin()

    model = seeded(Mlp)
    return Case(
        {"clean": model, "noisy": model}, noise(32, 6), MLP, options={"inputs": {"noisy": noisy}},
        call={"clean": lambda model, batch: model(batch), "noisy": lambda model, batch: model(noisy(batch))},
        confounders=[lambda batch, outputs: batch],
    )  # fmt: skip
