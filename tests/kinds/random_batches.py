"""Random batches of sequences, with and without padding, as tokenizers and data loaders give them."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class MaskForm(NamedTuple):
    """How a batch says which tokens are real: under which keys, for a first and a second sequence, and by what values.

    True and 1 are real tokens, or True is padding, or numbers are added to the scores of attention.
    """

    key: str
    second_key: str
    values: str

    def encode(self, real: Tensor) -> Tensor:
        if self.values == "additive":
            return torch.zeros(real.shape).masked_fill(~real, -1e9)
        return {"padding": ~real, "real": real, "numbers": real.long(), "floats": real.float()}[self.values]

    def pad(self, batch: dict, second: bool = False) -> Tensor | None:
        """(n, t) True for padding; None if the batch says nothing."""
        mask = batch.get(self.second_key if second else self.key)
        if mask is None:
            return None
        return mask.bool() if self.values in ("padding", "additive") else ~mask.bool()


ATTENTION = [MaskForm("attention_mask", "decoder_attention_mask", one) for one in ("numbers", "real", "floats")]
TORCH = [MaskForm("src_key_padding_mask", "tgt_key_padding_mask", one) for one in ("padding", "additive")]


@dataclass(frozen=True)
class Sizes:
    """How many samples and tokens each batch has, and where the padding is."""

    samples: tuple[int, ...]
    tokens: tuple[int, ...]
    padding: str
    """"all", "some" or "none" of the batches"""
    left: bool = False

    @classmethod
    def draw(cls, rng, samples=None, left=None):
        """Half of the time as many tokens as samples; the last batch may have fewer samples than the others."""
        if samples is None:
            samples = draw_samples(rng)
        n = samples[0]
        how = rng.choice(["n", "n", "n", "fixed", "longest"])
        if how == "longest":
            tokens = tuple(rng.choice([n, rng.randint(3, 11)]) for _ in samples)
        else:
            tokens = (n if how == "n" else rng.randint(3, 11),) * len(samples)
        left = rng.random() < 0.3 if left is None else left
        return cls(samples, tokens, rng.choice(["all", "all", "some", "none"]), left)

    def real(self, rng) -> list[Tensor]:
        """(n, t) True for real tokens, for each batch; every sample has one at least."""
        padded = {"all": len(self.samples), "none": 0, "some": max(1, len(self.samples) - 1)}[self.padding]
        chosen = rng.sample(range(len(self.samples)), padded)
        masks = []
        for number, (n, t) in enumerate(zip(self.samples, self.tokens)):
            lengths = [rng.randint(1, t) if number in chosen else t for _ in range(n)]
            if len(set(self.tokens)) > 1:  # as long as the longest
                lengths[rng.randrange(n)] = t
            real = torch.arange(t) < torch.tensor(lengths)[:, None]
            masks.append(real.flip(1) if self.left else real)
        return masks


def draw_samples(rng, most=10):
    n, count = rng.randint(5, most), rng.randint(2, 4)
    return (*[n] * (count - 1), rng.choice([n, n, rng.randint(4, n)]))


def token_ids(real: Tensor) -> Tensor:
    """Random ids; 0 is padding."""
    return torch.randint(1, 40, real.shape) * real


def token_features(real: Tensor) -> Tensor:
    """Random features (n, t, 4) of all tokens, of padding too."""
    return torch.randn(*real.shape, 4)
