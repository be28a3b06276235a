"""Rows for masks: which layer has the tokens of which mask, where lengths alone would tell it wrongly."""

import torch
from torch import nn

from kinds.kind import Case, Table
from kinds.nets import by_name, padding, seeded

KINDS = Table()
MEAN = {"representation": "mean"}


def all_tokens(output, batch):
    """The mean of a layer (n, tokens, p) that has no padding."""
    return output.double().mean(1)


def real_tokens(key, start=0):
    """The mean over the tokens of a mask, and over as many others in front as `start`."""

    def read(output, batch):
        real = batch[key].double()
        real = torch.cat([real.new_ones(len(real), start), real], 1)[..., None]
        return (output.double() * real).sum(1) / real.sum(1)

    return read


def vectors(n, tokens, width=4, seed=0):
    return torch.randn(n, tokens, width, generator=torch.Generator().manual_seed(seed))


def of_words(n, lengths, key="attention_mask", left=False, width=4, **more):
    """Batches of vectors in place of words, "inputs_embeds"; `lengths` are the tokens of each batch."""
    for number, length in enumerate(lengths):
        extra = {name: make(number) for name, make in more.items()}
        words, real = vectors(n, length, width, number), padding(n, length, left, number)
        yield {"inputs_embeds": words, key: real.long(), **extra}


def mixing(p, q):
    """Every token with every other one, and then for itself."""
    return nn.Sequential(Mixer(p), nn.Linear(p, q), nn.Tanh())


class Mixer(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.query = nn.Linear(p, p)

    def forward(self, x):
        return x + torch.softmax(self.query(x) @ x.transpose(1, 2), -1) @ x


class Towers(nn.Module):
    """Text with a mask, and an image with as many patches as the text has tokens."""

    def __init__(self):
        super().__init__()
        self.one, self.two = mixing(4, 6), mixing(4, 5)
        self.late = nn.Linear(5, 3)

    def forward(self, inputs_embeds, patches, attention_mask):
        real = attention_mask[..., None]
        return self.one(inputs_embeds * real).mean(1)[:, :3] + self.late(self.two(patches)).mean(1)


@KINDS.row("a mask is not that of as many patches")
def patches():
    batches = list(of_words(32, (7, 7, 7), patches=lambda number: vectors(32, 7, seed=9 + number)))
    read = {"one": real_tokens("attention_mask"), "two": all_tokens, "late": all_tokens}
    return Case({"net": seeded(Towers)}, batches, ["one", "two", "late"], read, MEAN, call=by_name)


@KINDS.row("a mask that fits the patches in some batches only")
def patches_by_chance():
    batches = list(of_words(32, (5, 7, 6), patches=lambda number: vectors(32, 7, seed=9 + number)))
    read = {"one": real_tokens("attention_mask"), "two": all_tokens, "late": all_tokens}
    return Case({"net": seeded(Towers)}, batches, ["one", "two", "late"], read, MEAN, call=by_name)


class Latents(nn.Module):
    """Learned queries, as many as there are tokens."""

    def __init__(self, queries):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, 4))
        self.words, self.read, self.head = nn.Linear(4, 4), nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, inputs_embeds, attention_mask):
        words = torch.tanh(self.words(inputs_embeds))
        hidden = (~attention_mask.bool())[:, None] * -1e9
        weights = torch.softmax(self.queries @ words.transpose(1, 2) + hidden, -1)
        return self.head(torch.tanh(self.read(weights @ words)))


@KINDS.row("learned queries have no mask")
def latents():
    read = {"words": real_tokens("attention_mask"), "read": all_tokens, "head": all_tokens}
    return Case(
        {"net": seeded(lambda: Latents(7))}, list(of_words(32, (7, 7, 7))), ["words", "read", "head"], read, MEAN,
        call=by_name,
    )  # fmt: skip


class Pair(nn.Module):
    """An encoder and a decoder whose names say nothing."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.across = mixing(4, 5), mixing(4, 5), nn.Linear(5, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, inputs_embeds, attention_mask, decoder_inputs_embeds, decoder_attention_mask=None):
        left, right = self.left(inputs_embeds), self.right(decoder_inputs_embeds)
        keys = self.across(left)
        return self.head(right + torch.softmax(right @ keys.transpose(1, 2), -1) @ keys)


PAIR = ["left", "right", "across", "head"]


def two_sided(count, lengths, other, own_mask=True):
    for number, batch in enumerate(of_words(count, lengths)):
        mask = {"decoder_attention_mask": padding(count, other, seed=5 + number).long()} if own_mask else {}
        yield {**batch, "decoder_inputs_embeds": vectors(count, other, seed=20 + number), **mask}


@KINDS.row("an encoder and a decoder without such names, equal lengths")
def pair():
    left, right = real_tokens("attention_mask"), real_tokens("decoder_attention_mask")
    read = {"left": left, "across": left, "right": right, "head": right}
    return Case({"net": seeded(Pair)}, list(two_sided(32, (6, 6, 6), 6)), PAIR, read, MEAN, call=by_name)


@KINDS.row("an encoder and a decoder without such names, as many tokens as samples")
def pair_of_as_many():
    left, right = real_tokens("attention_mask"), real_tokens("decoder_attention_mask")
    read = {"left": left, "across": left, "right": right, "head": right}
    return Case({"net": seeded(Pair)}, list(two_sided(16, (16,) * 3, 16)), PAIR, read, MEAN, call=by_name)


@KINDS.row("a mask is not that of as many patches, as many as samples")
def patches_of_as_many():
    batches = list(of_words(16, (16,) * 3, patches=lambda number: vectors(16, 16, seed=9 + number)))
    read = {"one": real_tokens("attention_mask"), "two": all_tokens, "late": all_tokens}
    return Case({"net": seeded(Towers)}, batches, ["one", "two", "late"], read, MEAN, call=by_name)


@KINDS.row("tokens of all samples in one row, with a mask, as many as samples")
def experts_of_as_many():
    case = experts()
    case.batches = list(of_words(16, (16,) * 3))
    return case


@KINDS.row("an encoder and a decoder without such names and one mask")
def pair_with_one_mask():
    left = real_tokens("attention_mask")
    read = {"left": left, "across": left, "right": all_tokens, "head": all_tokens}
    batches = list(two_sided(32, (6, 6, 6), 6, own_mask=False))
    return Case({"net": seeded(Pair)}, batches, PAIR, read, MEAN, call=by_name)


@KINDS.row("as many features as tokens, with a mask")
def square():
    net = seeded(lambda: Words(16))
    read = {"one": real_tokens("attention_mask"), "two": real_tokens("attention_mask")}
    return Case({"net": net}, list(of_words(16, (16, 16, 16), width=16)), ["one", "two"], read, MEAN, call=by_name)


class Words(nn.Module):
    def __init__(self, width=4, out=None):
        super().__init__()
        self.one, self.two = mixing(width, width), mixing(width, out or width)

    def forward(self, inputs_embeds, attention_mask):
        return self.two(self.one(inputs_embeds))


@KINDS.row("padding that comes late")
def late_padding():
    """The first batch has no padding, and tokens as in the others."""
    batches = list(of_words(32, (6, 6, 6)))
    batches[0]["attention_mask"][:] = 1
    read = real_tokens("attention_mask")
    return Case({"net": seeded(Words)}, batches, ["one", "two"], read, MEAN, call=by_name)


@KINDS.row("a mask in a tuple batch")
def in_a_tuple():
    """The parameters of `forward` tell that the second element is a mask."""
    batches = [tuple(one.values()) for one in of_words(32, (6, 6, 6))]

    def read(output, batch):
        return real_tokens("attention_mask")(output, {"attention_mask": batch[1]})

    return Case({"net": seeded(Words)}, batches, ["one", "two"], read, MEAN, call=lambda model, batch: model(*batch))


class TokensFirst(nn.Module):
    """The samples are second inside, and there are as many of them as tokens."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 8)
        self.layers, self.head = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(4, 3)

    def forward(self, inputs_embeds, attention_mask):
        hidden = self.layers(inputs_embeds.transpose(0, 1), src_key_padding_mask=~attention_mask.bool())
        return self.head(hidden)


@KINDS.row("tokens first, with a mask and as many samples")
def tokens_first():
    def read(output, batch):
        return real_tokens("attention_mask")(output.transpose(0, 1), batch)

    batches = list(of_words(16, (16, 16, 16)))
    layers = ["layers.layers.0.linear1", "layers.layers.0.norm2", "head"]
    return Case({"net": seeded(TokensFirst)}, batches, layers, read, MEAN, call=by_name)


class Experts(nn.Module):
    """The tokens of all samples in one row, as mixtures of experts have them."""

    def __init__(self):
        super().__init__()
        self.words, self.router, self.expert = mixing(4, 4), nn.Linear(4, 3), nn.Linear(4, 5)

    def forward(self, inputs_embeds, attention_mask):
        words = self.words(inputs_embeds)
        rows = words.flatten(0, 1)
        self.router(rows)
        return torch.tanh(self.expert(rows)).view(*words.shape[:2], 5)


@KINDS.row("tokens of all samples in one row, with a mask")
def experts():
    def rows(output, batch):
        return real_tokens("attention_mask")(output.unflatten(0, batch["attention_mask"].shape), batch)

    read = {"words": real_tokens("attention_mask"), "router": rows, "expert": rows}
    batches = list(of_words(32, (6, 6, 6)))
    return Case({"net": seeded(Experts)}, batches, ["words", "router", "expert"], read, MEAN, call=by_name)


class Prompted(nn.Module):
    """Virtual tokens in front, as prompt tuning puts them there and says in its configuration."""

    class Config:
        num_virtual_tokens = 3

    def __init__(self):
        super().__init__()
        self.words, self.blocks = nn.Linear(4, 5), mixing(5, 5)
        self.prompt = nn.Parameter(torch.randn(3, 5))
        self.peft_config = {"default": self.Config()}

    def forward(self, inputs_embeds, attention_mask):
        words = self.words(inputs_embeds)
        return self.blocks(torch.cat([self.prompt.expand(len(words), -1, -1), words], 1))


@KINDS.row("virtual tokens in front")
def virtual_tokens():
    read = {"words": real_tokens("attention_mask"), "blocks": real_tokens("attention_mask", start=3)}
    batches = list(of_words(32, (6, 5, 7)))
    return Case({"net": seeded(Prompted)}, batches, ["words", "blocks"], read, MEAN, call=by_name)


class Classed(nn.Module):
    """A token in front of which nothing is said."""

    def __init__(self):
        super().__init__()
        self.words, self.blocks = nn.Linear(4, 5), mixing(5, 5)
        self.token = nn.Parameter(torch.randn(1, 5))

    def forward(self, inputs_embeds, attention_mask):
        words = self.words(inputs_embeds)
        return self.blocks(torch.cat([self.token.expand(len(words), -1, -1), words], 1))


@KINDS.row("a token in front of which nothing is said")
def class_token():
    reason = (
        "its 7 tokens come from the 6 tokens of mask 'attention_mask', and it is not known which tokens of the layer "
        "are padding: give representation= a callable"
    )
    return Case(
        {"net": seeded(Classed)}, list(of_words(32, (6, 6, 6))), ["words", "blocks"], real_tokens("attention_mask"),
        MEAN, call=by_name, reasons={"net:blocks": reason},
    )  # fmt: skip


@KINDS.row("a callable that gets the batch and the mask")
def with_mask():
    """What the reason for the last row says."""

    def pooled(output, batch, mask):
        extra = output.shape[1] - mask.shape[1]
        real = torch.cat([mask.new_ones(len(mask), extra), mask], 1)[..., None]
        assert set(batch) == {"inputs_embeds", "attention_mask"}
        return (output * real).sum(1) / real.sum(1)

    read = {"words": real_tokens("attention_mask"), "blocks": real_tokens("attention_mask", start=1)}
    return Case(
        {"net": seeded(Classed)}, list(of_words(32, (6, 6, 6))), ["words", "blocks"], read,
        {"representation": pooled}, call=by_name,
    )  # fmt: skip


class Fixed(nn.Module):
    """Seven tokens, always, and as many patches."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(5, 3)
        self.weights = nn.Parameter(torch.randn(7, 1))

    def forward(self, inputs_embeds, patches, attention_mask):
        return self.head((self.one(inputs_embeds) * self.weights + self.two(patches) * self.weights).mean(1))


def fixed_length(options, **more):
    batches = list(of_words(32, (7, 7, 7), patches=lambda number: vectors(32, 7, seed=9 + number)))
    read = {"one": real_tokens("attention_mask"), "two": all_tokens}
    layers = ["one", "two", "head"]
    return Case({"net": seeded(Fixed)}, batches, layers, read, {**MEAN, **options}, call=by_name, **more)


@KINDS.row("a network of one length, where lengths tell nothing")
def unclear():
    """A pass over shorter sequences fails in it, and shows the tokens of the layer before that."""
    reason = "its 7 tokens may be those of mask 'attention_mask', or other tokens of the same number"
    return fixed_length({}, reasons={"net:two": reason})


@KINDS.row("a network of one length, with masks=")
def named():
    """What the reason for the last row says."""
    return fixed_length({"masks": {"one": "attention_mask", "net:two": None}})


@KINDS.row("a network of one length and one input")
def only_input():
    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(4, 5)
            self.weights = nn.Parameter(torch.randn(7, 1))

        def forward(self, inputs_embeds, attention_mask):
            return self.one(inputs_embeds) * self.weights

    batches = list(of_words(32, (7, 7, 7)))
    return Case({"net": seeded(Alone)}, batches, ["one"], real_tokens("attention_mask"), MEAN, call=by_name)


@KINDS.row("a mask with a key of the user's")
def own_key():
    options = {**MEAN, "masks": {"*": "valid"}, "forward": lambda model, batch: model(batch["inputs_embeds"], None)}
    return Case(
        {"net": seeded(Words)}, list(of_words(32, (7, 7, 7), key="valid")), ["one", "two"], real_tokens("valid"),
        options, call=lambda model, batch: model(batch["inputs_embeds"], None),
    )  # fmt: skip


class Nested(nn.Module):
    """Two texts, each a mapping of its own."""

    def __init__(self):
        super().__init__()
        self.query, self.passage = mixing(4, 5), mixing(4, 5)

    def forward(self, query, passage):
        return self.query(query["inputs_embeds"]).mean(1) + self.passage(passage["inputs_embeds"]).mean(1)


@KINDS.row("masks in nested mappings, as many tokens in both")
def nested():
    def read(name):
        return lambda output, batch: real_tokens("attention_mask")(output, batch[name])

    pairs = zip(of_words(32, (6, 6, 6)), of_words(32, (6, 6, 6), left=True))
    batches = [{"query": one, "passage": other} for one, other in pairs]
    return Case(
        {"net": seeded(Nested)}, batches, ["query", "passage"], {name: read(name) for name in ("query", "passage")},
        MEAN, call=by_name,
    )  # fmt: skip


class Translator(nn.Module):
    """An encoder and a decoder that computes a loss of its labels, with attention to the encoder between them."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.encoder_attn = mixing(4, 5), mixing(4, 5), nn.Linear(5, 5)
        self.head = nn.Linear(5, 9)

    def forward(self, inputs_embeds, attention_mask, decoder_inputs_embeds, labels):
        keys, queries = self.encoder_attn(self.encoder(inputs_embeds)), self.decoder(decoder_inputs_embeds)
        scores = self.head(queries + torch.softmax(queries @ keys.transpose(1, 2), -1) @ keys)
        nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten())
        return scores


@KINDS.row("an encoder and a decoder with labels, equal lengths")
def with_labels():
    left = real_tokens("attention_mask")
    read = {"encoder": left, "encoder_attn": left, "decoder": all_tokens, "head": all_tokens}
    batches = list(two_sided(32, (6, 6, 6), 6, own_mask=False))
    for number, batch in enumerate(batches):
        batch["labels"] = torch.randint(9, (32, 6), generator=torch.Generator().manual_seed(number))
    layers = ["encoder", "encoder_attn", "decoder", "head"]
    return Case({"net": seeded(Translator)}, batches, layers, read, MEAN, call=by_name)
