"""Families of random networks that are made of attention: encoders, encoder-decoders, two towers, latents."""

import torch
from torch import nn

from kinds.random_batches import ATTENTION, TORCH, Sizes
from kinds.random_draw import Draw, Texts, draw_width, family
from kinds.random_parts import Across, Meaning, Stack, head, means, pooled, stem


class Encoder(nn.Module):
    """A stem, a stack of parts and a head; it may not look at the mask."""

    def __init__(self, rng, texts, d):
        super().__init__()
        self.texts, self.looks = texts, rng.random() < 0.8
        self.stem = stem(rng, texts.is_ids, d, "text")
        self.stack = Stack(rng, d, "text", rng.randint(2, 4))
        self.head = head(d)
        self.tokenwise = rng.random() < 0.3
        if self.tokenwise:
            means(self.head, Meaning("n t p", "text"))

    def forward(self, inputs=None, **batch):
        x, pad = (inputs, None) if inputs is not None else self.texts.read(batch)
        x = self.stack(torch.tanh(self.stem(x)), pad if self.looks else None)
        return self.head(x if self.tokenwise else pooled(x, pad))


@family("encoders")
def encoders(rng):
    """One or two of them, on mappings, on tuples of a mapping and labels, or on a tensor without a mask."""
    sizes = Sizes.draw(rng)
    how = rng.choice(["mapping", "mapping", "mapping", "with labels", "tensor"])
    texts = Texts(rng, sizes, masked=how != "tensor")
    networks = {name: Encoder(rng, texts, draw_width(rng, sizes)) for name in ("net", "other")[: rng.choice([1, 2])]}
    batches = [texts.entries(number) for number in range(len(sizes.samples))]
    if how == "tensor":
        batches = [batch[texts.key] for batch in batches]
    elif how == "with labels":
        batches = [(batch, torch.randint(0, 3, (n,))) for batch, n in zip(batches, sizes.samples)]
    return Draw(networks, batches, [{"text": real} for real in texts.real], [sizes], f"{how}, {texts.form}")


class EncoderDecoder(nn.Module):
    """Two stacks with attention of the second on the first; the stem may be shared, and either may come first."""

    def __init__(self, rng, source, target, d, names):
        super().__init__()
        self.texts, self.names = (source, target), names
        self.shared = source.is_ids == target.is_ids and rng.random() < 0.4
        self.target_first = rng.random() < 0.15
        order = ("target", "source") if self.target_first else ("source", "target")
        if self.shared:
            self.shared_stem = stem(rng, source.is_ids, d, *order)
        for name, texts, tokens in zip(names, self.texts, ("source", "target")):
            part = nn.ModuleDict() if self.shared else nn.ModuleDict({"stem": stem(rng, texts.is_ids, d, tokens)})
            part["stack"] = Stack(rng, d, tokens, rng.randint(1, 2))
            if tokens == "target":
                part["across"] = Across(rng, d, "target", "source")
            self.add_module(name, part)
        self.head = means(nn.Linear(d, 5), Meaning("n t p", "target"))

    def forward(self, **batch):
        (source, pad), (target, target_pad) = (one.read(batch) for one in self.texts)
        first, second = (getattr(self, name) for name in self.names)
        stems = [self.shared_stem] * 2 if self.shared else [first["stem"], second["stem"]]
        if self.target_first:
            y = torch.tanh(stems[1](target))
            x = torch.tanh(stems[0](source))
        else:
            x, y = torch.tanh(stems[0](source)), torch.tanh(stems[1](target))
        x = first["stack"](x, pad)
        y = second["across"](second["stack"](y, target_pad), x, pad)
        return self.head(y)


@family("encoder-decoders")
def encoder_decoders(rng):
    """With and without the words in their names, of equal and of different lengths; the second mask may be missing."""
    sizes = Sizes.draw(rng)
    again = Sizes.draw(rng, sizes.samples)
    if rng.random() < 0.5:
        again = Sizes(sizes.samples, sizes.tokens, again.padding, again.left)
    form = [rng.choice([*ATTENTION, *TORCH])]
    source, target = Texts(rng, sizes, form), Texts(rng, again, form, True, rng.random() < 0.7)
    names = rng.choice(
        [("encoder", "decoder"), ("text_encoder", "text_decoder"), ("left", "right"), ("reader", "writer")]
    )
    network = EncoderDecoder(rng, source, target, draw_width(rng, sizes), names)
    batches = [source.entries(number) | target.entries(number) for number in range(len(sizes.samples))]
    masks = [{"source": one, "target": other} for one, other in zip(source.real, target.real)]
    said = f"{names}, {form[0]}, second mask: {target.masked}, shared: {network.shared}, {network.target_first=}"
    return Draw({"net": network}, batches, masks, [sizes, again], said)


class Towers(nn.Module):
    """A tower for a text and one for the tokens of an image, joined after pooling or by attention."""

    def __init__(self, rng, texts, d, names):
        super().__init__()
        self.texts, self.names = texts, names
        self.image_first = rng.random() < 0.5
        self.patches = rng.random() < 0.5
        for name, tokens in zip(names, ("text", "image")):
            if tokens == "text":
                first = stem(rng, texts.is_ids, d, "text")
            elif self.patches:
                first = means(nn.Conv2d(4, d, (1, 2), (1, 2)), Meaning("n p h w", "image"))
            else:
                first = stem(rng, False, d, "image")
            self.add_module(name, nn.ModuleDict({"stem": first, "stack": Stack(rng, d, tokens, rng.randint(1, 2))}))
        self.across = Across(rng, d, "text", "image") if rng.random() < 0.4 else None
        self.joint = means(nn.Linear(2 * d, 5), Meaning("n p"))

    def forward(self, **batch):
        pixel_values = batch["pixel_values"]
        text, image = (getattr(self, name) for name in self.names)
        if self.image_first:
            y = self.seen(image, pixel_values)
        x, pad = self.texts.read(batch)
        x = text["stack"](torch.tanh(text["stem"](x)), pad)
        if not self.image_first:
            y = self.seen(image, pixel_values)
        if self.across is not None:
            x = self.across(x, y)
        return self.joint(torch.cat([pooled(x, pad), y.mean(1)], 1))

    def seen(self, image, pixels):
        x = torch.tanh(image["stem"](pixels))
        return image["stack"](x.flatten(2).transpose(1, 2) if self.patches else x)


@family("two towers")
def two_towers(rng):
    """Often with as many tokens of the image as of the text."""
    sizes = Sizes.draw(rng)
    texts = Texts(rng, sizes)
    count = sizes.tokens[0] if rng.random() < 0.6 else rng.randint(3, 11)
    names = rng.choice([("text", "image"), ("language_model", "vision_model"), ("left", "right")])
    network = Towers(rng, texts, draw_width(rng, sizes), names)
    batches, masks = [], []
    for number, n in enumerate(sizes.samples):
        shape = (n, 4, 1, 2 * count) if network.patches else (n, count, 4)
        batches.append({**texts.entries(number), "pixel_values": torch.randn(shape)})
        masks.append({"text": texts.real[number], "image": torch.ones(n, count, dtype=torch.bool)})
    said = f"{names}, {count} tokens of the image, {texts.form}, {network.image_first=}"
    return Draw({"net": network}, batches, masks, [sizes], said)


class Latents(nn.Module):
    """Learned queries that attend to a text, and may be attended to by its tokens in the end."""

    def __init__(self, rng, texts, d, count):
        super().__init__()
        self.texts = texts
        self.stem = stem(rng, texts.is_ids, d, "text")
        self.stack = Stack(rng, d, "text", 1)
        self.queries = nn.Parameter(torch.randn(count, d))
        self.read = Across(rng, d, "latents", "text")
        del self.read.attention.query.meanings  # one and the same for all samples
        self.latents = Stack(rng, d, "latents", rng.randint(1, 3))
        self.back = Across(rng, d, "text", "latents") if rng.random() < 0.4 else None
        self.head = head(d)

    def forward(self, **batch):
        x, pad = self.texts.read(batch)
        x = self.stack(torch.tanh(self.stem(x)), pad)
        y = self.latents(self.read(self.queries.expand(len(x), -1, -1), x, pad))
        return self.head(y.mean(1) if self.back is None else pooled(self.back(x, y), pad))


@family("latents")
def latents(rng):
    sizes = Sizes.draw(rng)
    texts = Texts(rng, sizes)
    count = sizes.tokens[0] if rng.random() < 0.7 else rng.randint(2, 9)
    network = Latents(rng, texts, draw_width(rng, sizes), count)
    masks = [{"text": real, "latents": torch.ones(len(real), count, dtype=torch.bool)} for real in texts.real]
    batches = [texts.entries(number) for number in range(len(sizes.samples))]
    return Draw({"net": network}, batches, masks, [sizes], f"{count} latents, {texts.form}")
