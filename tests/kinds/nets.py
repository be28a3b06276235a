"""Tiny networks and batches that the rows share."""

import warnings
from collections.abc import Callable

import torch
from torch import nn


def noise(*shape, seed=0, count=3):
    """Batches of normal numbers."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) for _ in range(count)]


def ids(n, length, seed=0, count=3, vocabulary=40):
    """Batches of token ids; 0 is left to padding."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(1, vocabulary, (n, length), generator=generator) for _ in range(count)]


def padding(n, length, left=False, seed=0):
    """(n, length) bool: True where a token is real, with one to all tokens in each sample."""
    generator = torch.Generator().manual_seed(seed)
    real = torch.arange(length) < torch.randint(1, length + 1, (n, 1), generator=generator)
    return real.flip(1) if left else real


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """The network with the weights of a seed, without what its library says to whoever builds one."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def by_name(model, batch):
    return model(**batch)


def hidden(output, batch):
    """Of a tuple the first entry."""
    return output[0] if isinstance(output, list) else output


def over_space(output, batch):
    return output.mean((2, 3)) if output.ndim == 4 else output


def entry(output, batch):
    return hidden(output, batch).flatten(1)


def the_input(batch, outputs):
    return batch.flatten(1)


class Mlp(nn.Module):
    """Two hidden layers with an activation that works in place."""

    def __init__(self, p=6, hidden=9, q=4):
        super().__init__()
        self.one = nn.Linear(p, hidden)
        self.two = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, q)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.head(self.relu(self.two(self.relu(self.one(x)))))


MLP = ("one", "two", "head")


class Wraps(nn.Module):
    """A layer whose output is what a function makes of a tensor (n, q)."""

    def __init__(self, wrap, p=6, q=5):
        super().__init__()
        self.inner = nn.Linear(p, q)
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(self.inner(x))


class Around(nn.Module):
    """A network around such a layer; `pick` finds in its output a tensor (n, q) to go on with."""

    def __init__(self, part, pick, q=5):
        super().__init__()
        self.part = part
        self.head = nn.Linear(q, 3)
        self.pick = pick

    def forward(self, x):
        return self.head(torch.tanh(self.pick(self.part(x))))


class Stairs(nn.Module):
    """A network of convolutions at three resolutions, with activations in place."""

    def __init__(self, width=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width + 2, 2, stride=2)
        self.conv3 = nn.Conv2d(width + 2, width + 4, 2, stride=2)
        self.head = nn.Linear(width + 4, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.norm(self.conv1(x)))
        x = self.relu(self.conv2(x))
        return self.head(self.relu(self.conv3(x)).mean((2, 3)))


class Encoder(nn.Module):
    """A transformer encoder of torch: in evaluation mode fused operations on nested tensors, where there is a mask."""

    def __init__(self, d=8, layers=2):
        super().__init__()
        layer = nn.TransformerEncoderLayer(d, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)

    def forward(self, src, src_key_padding_mask=None):
        return self.encoder(src, src_key_padding_mask=src_key_padding_mask)


def bert(**options):
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12, **options,
    )  # fmt: skip
    return seeded(lambda: BertModel(config))


def gpt2():
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(
        vocab_size=40, n_positions=12, n_embd=16, n_layer=2, n_head=2, use_cache=False, bos_token_id=0, eos_token_id=0
    )
    return seeded(lambda: GPT2Model(config))
