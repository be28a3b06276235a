"""More families: recurrent networks, frames of sound, prompts put before the tokens, and experts."""

import torch
from torch import nn

from kinds.random_batches import ATTENTION, Sizes, draw_samples
from kinds.random_draw import Draw, Texts, draw_width, family
from kinds.random_parts import RECURRENT, Meaning, Packed, Stack, by_token, head, laid_out, means, pooled, stem


class Recurrent(nn.Module):
    """Recurrent layers over padded tokens or packed ones; a layer after packed ones may see fewer tokens."""

    def __init__(self, rng, texts, d, packed):
        super().__init__()
        self.texts = texts
        self.stem = stem(rng, texts.is_ids, d, "text")
        if packed:
            whole = rng.random() < 0.5
            kind = rng.choice([nn.RNN, nn.GRU, nn.LSTM])
            self.rnn = Packed(means(kind(d, d, batch_first=True), Meaning("packed", "text")), whole)
            after = "text" if whole else "cut"
        else:
            self.rnn, after = Stack(rng, d, "text", rng.randint(1, 3), RECURRENT), "text"
        self.after = means(nn.Linear(d, rng.choice([d, 5])), Meaning("n t p", after))
        self.head = head(d)

    def forward(self, inputs=None, **batch):
        x, pad = (inputs, None) if inputs is not None else self.texts.read(batch)
        x = self.rnn(torch.tanh(self.stem(x)), pad)
        self.after(torch.tanh(x))
        return self.head(torch.tanh(pooled(x, None if pad is None else pad[:, : x.shape[1]])))


@family("recurrent nets")
def recurrent_nets(rng):
    packed = rng.random() < 0.4
    sizes = Sizes.draw(rng, left=False if packed else None)
    masked = packed or rng.random() < 0.6
    texts = Texts(rng, sizes, masked=masked)
    network = Recurrent(rng, texts, draw_width(rng, sizes), packed)
    batches = [texts.entries(number) for number in range(len(sizes.samples))]
    masks = [{"text": real, "cut": real[:, : int(real.sum(1).max())]} for real in texts.real]
    batches = batches if masked else [batch[texts.key] for batch in batches]
    return Draw({"net": network}, batches, masks, [sizes], f"{packed=}, {masked=}, {texts.form}")


class Sound(nn.Module):
    """Strided convolutions over time make frames; a frame is real if all that it covers is real."""

    def __init__(self, rng, d, strides, looks):
        super().__init__()
        self.form, self.strides, self.looks = ATTENTION[0], strides, looks
        self.convolutions = nn.ModuleList()
        for number, (size, stride) in enumerate(strides):
            conv = nn.Conv1d(d if number else 1, d, size, stride)
            self.convolutions.append(means(conv, Meaning("n p t", f"frames {number}")))
        last = f"frames {len(strides) - 1}"
        self.projection = means(nn.Linear(d, d), Meaning("n t p", last))
        self.stack = Stack(rng, d, last, rng.randint(1, 2))
        self.head = head(d)

    def forward(self, input_values, attention_mask=None):
        x = input_values[:, None]
        for conv in self.convolutions:
            x = torch.tanh(conv(x))
        x = torch.tanh(self.projection(x.transpose(1, 2)))
        pad = None
        if attention_mask is not None:
            real = frames_of(attention_mask.bool(), self.strides)[-1]
            pad = ~real
        return self.head(pooled(self.stack(x, pad if self.looks else None), pad))


def frames_of(real, strides):
    """The masks (n, frames) of the outputs of each convolution."""
    steps, lengths, found = real.shape[1], real.sum(1), []
    for size, stride in strides:
        steps, lengths = (steps - size) // stride + 1, (lengths - size) // stride + 1
        found.append(torch.arange(steps) < lengths[:, None])
    return found


@family("sound")
def sound(rng):
    """At times with as many frames as samples."""
    samples = draw_samples(rng)
    strides = rng.choice([[(3, 2)], [(4, 2), (3, 2)], [(2, 2), (2, 1)]])
    shortest = least(1, strides)
    how = rng.choice(["n", "n", "fixed", "longest"])
    frames = [samples[0] if how == "n" else rng.randint(3, 11) for _ in samples]
    tokens = tuple(least(one, strides) for one in (frames if how == "longest" else [frames[0]] * len(samples)))
    sizes = Sizes(samples, tokens, rng.choice(["all", "some", "none"]))
    batches, masks = [], []
    for real in sizes.real(rng):
        real |= torch.arange(real.shape[1]) < shortest
        batches.append({"input_values": torch.randn(real.shape) * real, "attention_mask": real.long()})
        masks.append({f"frames {number}": one for number, one in enumerate(frames_of(real, strides))})
    network = Sound(rng, rng.choice([4, 6, samples[0], frames[0]]), strides, rng.random() < 0.8)
    return Draw({"net": network}, batches, masks, [sizes], f"(size, stride) of convolutions: {strides}")


def least(frames, strides):
    """How many steps it takes to make so many frames."""
    for size, stride in reversed(strides):
        frames = (frames - 1) * stride + size
    return frames


class Prompted(nn.Module):
    """Learned tokens before those of a text, all of them real: a class token, or some of a prompt."""

    def __init__(self, rng, texts, d, count):
        super().__init__()
        self.texts = texts
        self.stem = stem(rng, texts.is_ids, d, "text")
        self.stack = Stack(rng, d, "text", rng.randint(1, 2))
        self.prompt = nn.Parameter(torch.randn(count, d))
        self.prompted = Stack(rng, d, "prompted", rng.randint(1, 2))
        self.head = head(d)

    def forward(self, **batch):
        x, pad = self.texts.read(batch)
        x = self.stack(torch.tanh(self.stem(x)), pad)
        x = torch.cat([self.prompt.expand(len(x), -1, -1), x], 1)
        pad = nn.functional.pad(pad, (len(self.prompt), 0), value=False)
        return self.head(pooled(self.prompted(x, pad), pad))


@family("prompts")
def prompts(rng):
    sizes = Sizes.draw(rng)
    texts = Texts(rng, sizes)
    count = rng.choice([1, 1, 4])
    network = Prompted(rng, texts, draw_width(rng, sizes), count)
    batches = [texts.entries(number) for number in range(len(sizes.samples))]
    prompted = [nn.functional.pad(real, (count, 0), value=True) for real in texts.real]
    masks = [{"text": real, "prompted": more} for real, more in zip(texts.real, prompted)]
    return Draw({"net": network}, batches, masks, [sizes], f"{count} tokens of a prompt, {texts.form}")


class Experts(nn.Module):
    """A router and experts over all tokens of a batch, over the real ones alone, or each over its own."""

    def __init__(self, rng, texts, d, which):
        super().__init__()
        self.texts, self.which = texts, which
        self.stem = stem(rng, texts.is_ids, d, "text")
        self.layout = rng.choice(["nt p", "tn p"]) if which == "all" else "nt p"
        flat = Meaning(self.layout if which == "all" else "real p", "text")
        self.router = means(nn.Linear(d, 2), flat)
        expert = Meaning("some p", "text") if which == "own" else flat
        self.experts = nn.ModuleList(means(nn.Linear(d, d), expert) for _ in range(2))
        self.stack = Stack(rng, d, "text", 1)
        self.head = head(d)

    def forward(self, **batch):
        x, pad = self.texts.read(batch)
        x = torch.tanh(self.stem(x))
        real = torch.ones(x.shape[:2], dtype=torch.bool) if self.which == "all" else ~pad
        tokens = laid_out(x, self.layout) if self.which == "all" else x[real]
        gate = self.router(tokens).softmax(1)
        if self.which == "own":
            y, chosen = torch.zeros_like(tokens), gate.argmax(1)
            for number, expert in enumerate(self.experts):
                y[chosen == number] = expert(tokens[chosen == number])
        else:
            y = sum(gate[:, [number]] * expert(tokens) for number, expert in enumerate(self.experts))
        if self.which == "all":
            x = x + by_token(y, self.layout, len(x))
        else:
            x = x.index_put((real,), x[real] + y)
        return self.head(pooled(self.stack(x, pad), pad))


@family("experts")
def experts(rng):
    sizes = Sizes.draw(rng)
    texts = Texts(rng, sizes)
    which = rng.choice(["all", "all", "all", "real", "own"])
    network = Experts(rng, texts, draw_width(rng, sizes), which)
    batches = [texts.entries(number) for number in range(len(sizes.samples))]
    return Draw({"net": network}, batches, [{"text": real} for real in texts.real], [sizes], f"{which}, {texts.form}")
