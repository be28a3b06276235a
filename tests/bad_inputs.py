"""Small models and batches, many of them with something wrong, for tests of error messages."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

N = 32


def net():
    return nn.Sequential(OrderedDict(stem=nn.Linear(8, 16), act=nn.ReLU(), head=nn.Linear(16, 4)))


def convolutions():
    return nn.Sequential(OrderedDict(stem=nn.Conv2d(3, 4, 3), act=nn.ReLU(), norm=nn.BatchNorm2d(4)))


def vectors():
    return [torch.randn(N, 8) for _ in range(2)]


def pictures():
    return [torch.randn(N, 3, 6, 6) for _ in range(2)]


class Part(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.inner = nn.Linear(8, 8)
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(self.inner(x))


class Holds(nn.Module):
    """A network in which a layer `part` returns something strange, and the others go on."""

    def __init__(self, wrap):
        super().__init__()
        self.part = Part(wrap)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        self.part(x)
        return self.head(x)


class Turns(Holds):
    def __init__(self):
        super().__init__(lambda y: y)
        self.part = nn.Identity()

    def forward(self, x):
        self.part(x if len(x) == N else x.transpose(0, 1))
        return self.head(x)


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(9, 4)
        self.block = nn.Linear(4, 4)

    def forward(self, input_ids, attention_mask=None):
        return self.block(self.embeddings(input_ids))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.text = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, image, text):
        return self.image(image) + self.text(text)


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(8, 5), nn.Linear(8, 5)

    def forward(self, x):
        return self.used(x)


class Pools(nn.Module):
    """Convolutions, then tokens, then features alone."""

    def __init__(self):
        super().__init__()
        self.conv, self.block, self.head = nn.Conv2d(3, 6, 3), nn.Linear(6, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.block(self.conv(x).flatten(2).transpose(1, 2)).mean(1))


def scripted():
    return torch.jit.script(nn.Linear(8, 8))


def partly_scripted():
    return nn.Sequential(OrderedDict(stem=nn.Linear(8, 8), part=scripted()))


def two():
    return {"first": net(), "second": net()}


def short(batch):
    return batch[: N // 2]


def first_rows(x):
    return x[:3]


def as_list(x):
    return x.tolist()


def dense_no_more(x):
    return x.to_sparse()


def ids(**more):
    return [{"input_ids": torch.zeros(N, 5, dtype=torch.long), **more}]


def named(rows):
    return [row if hasattr(row, "marks") else pytest.param(*row, id=row[0]) for row in rows]
