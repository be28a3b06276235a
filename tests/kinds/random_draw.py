"""What is drawn: networks with their batches, and what an oracle must know of them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kinds.random_batches import ATTENTION, TORCH, Sizes, token_features, token_ids
from kinds.random_parts import Meaning


@dataclass
class Draw:
    """Random networks and batches, with what an oracle must know of them."""

    networks: Mapping[str, nn.Module]
    batches: Sequence[Any]
    masks: Sequence[Mapping[str, Tensor]]
    """for each batch the masks (n, t), True for real tokens, by the names in the meanings of the layers"""
    sizes: Sequence[Sizes]
    """of the sequences in the batches"""
    said: str = ""
    """what else was drawn"""
    name: str = ""
    """the family, and the seed"""
    how: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    """the representation of each layer, by (model, layer)"""
    gram_batch: int = 64

    @property
    def layers(self) -> dict[str, list[str]]:
        return {
            name: [layer for layer, module in network.named_modules() if hasattr(module, "meanings")]
            for name, network in self.networks.items()
        }

    def meaning(self, model: str, call: str) -> Meaning:
        layer, _, number = call.partition("#")
        return self.networks[model].get_submodule(layer).meanings[int(number or 0)]

    @property
    def n(self) -> int:
        """How many samples the first batch has."""
        return self.sizes[0].samples[0]

    @property
    def is_padded(self) -> bool:
        return any(not mask.all() for masks in self.masks for mask in masks.values())

    @property
    def is_square(self) -> bool:
        """Whether some batch has as many tokens as samples."""
        return any(len(mask) == mask.shape[1] for masks in self.masks for mask in masks.values())

    @property
    def has_tokens_first(self) -> bool:
        modules = (module for network in self.networks.values() for module in network.modules())
        meanings = (one for module in modules for one in getattr(module, "meanings", ()))
        return any(one.layout in ("t n p", "tn p") for one in meanings)

    def __str__(self):
        lines = [self.name, self.said, *map(str, self.sizes), f"gram_batch={self.gram_batch}"]
        for model, network in self.networks.items():
            for layer in self.layers[model]:
                module = network.get_submodule(layer)
                how = getattr(self.how[model, layer], "__name__", self.how[model, layer])
                lines.append(
                    f"  {model}:{layer} {type(module).__name__} {[tuple(one) for one in module.meanings]} {how}"
                )
        return "\n".join(lines)


FAMILIES: dict[str, Callable[[random.Random], Draw]] = {}


def family(name: str):
    def add(make: Callable[[random.Random], Draw]):
        FAMILIES[name] = make
        return make

    return add


def draw_width(rng, sizes):
    """A number of features; at times as many as there are samples or tokens."""
    return rng.choice([4, 6, 8, sizes.samples[0], sizes.tokens[0]])


class Texts:
    """A drawn text for all batches: ids or features, with a mask in some form, and how a network finds them."""

    def __init__(self, rng, sizes, forms=(*ATTENTION, *ATTENTION, *TORCH), second=False, masked=True):
        self.form, self.second = rng.choice(forms), second
        self.real = sizes.real(rng)
        self.is_ids = rng.random() < 0.5
        self.key = "input_ids" if self.is_ids else "inputs_embeds"
        if self.form in TORCH:
            self.key = "src"
        if second:
            self.key = "tgt" if self.key == "src" else f"decoder_{self.key}"
        self.omits = rng.random() < 0.1
        """whether batches without padding come without the mask"""
        self.masked = masked
        """whether the batches have the mask; without, all tokens are real"""
        if not masked:
            self.real = [torch.ones_like(one) for one in self.real]

    def entries(self, number):
        real = self.real[number]
        mask_key = self.form.second_key if self.second else self.form.key
        has_mask = self.masked and not (self.omits and real.all())
        mask = {mask_key: self.form.encode(real)} if has_mask else {}
        return {self.key: (token_ids if self.is_ids else token_features)(real), **mask}

    def read(self, batch):
        """The tokens, and (n, t) True for padding."""
        x, pad = batch[self.key], self.form.pad(batch, self.second)
        return x, torch.zeros(x.shape[:2], dtype=torch.bool) if pad is None else pad
