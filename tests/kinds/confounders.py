"""Rows for what dCKA removes."""

import torch
from torch import nn

from kinds.batches import labels
from kinds.kind import Case, Table
from kinds.nets import MLP, Mlp, Stairs, bert, by_name, entry, gpt2, hidden, ids, noise, seeded, the_input

KINDS = Table()


class Tied(nn.Module):
    """An embedding that never runs, and another one that has its weights and runs, as in some libraries' T5."""

    def __init__(self):
        super().__init__()
        self.shared, self.words, self.head = nn.Embedding(40, 5), nn.Embedding(40, 5), nn.Linear(5, 3)
        self.words.weight = self.shared.weight

    def forward(self, x):
        return self.head(torch.tanh(self.words(x)).mean(1))


@KINDS.row("token ids, embedded by a layer with the weights of another")
def tied():
    return Case(
        {"net": seeded(Tied), "other": seeded(Tied, 1)}, ids(32, 6), ["words", "head"],
        confounders=[lambda batch, outputs: outputs["net:words"].flatten(1)], explained=["net:words"],
        notes=["'words' of 'net'"],
    )  # fmt: skip


def two(batches, confounder, removed, call=lambda model, batch: model(batch), **more):
    """Two networks, and what is removed from both."""
    models = {"a": seeded(Mlp), "b": seeded(Mlp, 1)}
    return Case(models, batches, MLP, options={"confounder": confounder}, call=call, confounders=removed, **more)


@KINDS.row("confounder: the input")
def the_inputs():
    return two(noise(32, 6), "input", [the_input])


@KINDS.row("confounder: the input of small batches")
def joined():
    """Joined until there are enough samples."""
    return two(noise(10, 6, count=14), "input", [the_input])


@KINDS.row("confounder: a layer of one model")
def layer():
    """A layer that is not compared, and that only one of the two has."""
    models = {"a": seeded(Mlp), "b": seeded(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)))}
    return Case(
        models, noise(32, 6), {"a": ["two", "head"], "b": ["0", "2"]}, options={"confounder": "one"},
        confounders=[lambda batch, outputs: outputs["a:one"]], extra=["a:one"],
    )  # fmt: skip


@KINDS.row("confounder: model:layer")
def layer_of_a_model():
    """The layer is compared too; nothing is left of it."""
    removed = [lambda batch, outputs: outputs["b:one"]]
    return two(noise(32, 6), "b:one", removed, explained=["b:one"])


@KINDS.row("confounder: the second call of a layer")
def second_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = nn.Linear(6, 6)
            self.head = nn.Linear(6, 3)

        def forward(self, x):
            return self.head(torch.tanh(self.step(torch.tanh(self.step(x)))))

    return Case(
        {"net": seeded(Twice)}, noise(32, 6), ["head"], options={"confounder": "step#1"},
        confounders=[lambda batch, outputs: outputs["net:step#1"]], extra=["net:step"],
    )  # fmt: skip


def one_hot(labels):
    """Inner products are 1 in one class and 0 across."""
    return nn.functional.one_hot(labels, 4)


def of_first(model, batch):
    return model(batch[0])


@KINDS.row("confounder: labels")
def class_labels():
    batches = list(zip(noise(32, 6), labels(32)))
    return two(batches, "labels", [lambda batch, outputs: one_hot(batch[1])], of_first)


@KINDS.row("confounder: labels of a dict")
def labels_of_a_dict():
    batches = [{"x": x, "label": y} for x, y in zip(noise(20, 6, count=7), labels(20, 7))]
    return two(
        batches, "labels", [lambda batch, outputs: one_hot(batch["label"])], lambda model, batch: model(batch["x"])
    )


def brightness(batch):
    return batch[0].abs().mean(1)


@KINDS.row("confounder: a callable")
def function():
    """One number a sample, of the whole batch."""
    batches = list(zip(noise(32, 6), labels(32)))
    return two(batches, brightness, [lambda batch, outputs: brightness(batch)[:, None]], of_first)


@KINDS.row("several confounders")
def several():
    batches = list(zip(noise(32, 6), labels(32)))
    removed = [
        lambda batch, outputs: batch[0], lambda batch, outputs: one_hot(batch[1]),
        lambda batch, outputs: outputs["a:one"], lambda batch, outputs: brightness(batch)[:, None],
    ]  # fmt: skip
    confounders = ["input", "labels", "a:one", brightness]
    case = two(batches, confounders, removed, of_first)
    case.layers = {"a": ["two", "head"], "b": ["two", "head"]}
    case.extra = ["a:one"]
    return case


@KINDS.row("no confounder")
def none():
    """Token ids have no use for one."""
    reading = {"h.0": entry}
    options = {"confounder": None, "measures": ("cka",)}
    return Case({"net": gpt2()}, ids(32, 6), ["wte", "h.0", "ln_f"], reading, options)


@KINDS.row("confounder: token ids")
def token_ids():
    """Of the models, the first that has an embedding gives the confounder; it is read as all layers are."""

    def read(output, batch):
        return hidden(output, batch).mean(1)

    batches = [{"input_ids": tokens} for tokens in ids(32, 6)]
    return Case(
        {"gpt": gpt2(), "bert": bert()}, batches,
        {"gpt": ["h.0", "h.1"], "bert": ["encoder.layer.0", "encoder.layer.1"]}, read, {"representation": "mean"},
        by_name, [lambda batch, outputs: outputs["gpt:wte"].mean(1)], ["gpt:wte"], notes=["the input holds token ids"],
    )  # fmt: skip


@KINDS.row("confounder: labels, where positions are samples")
def labels_at_positions():
    """What has no positions of its own counts for all of its sample's."""

    def every_position(output, batch):
        return output.movedim(1, 3).flatten(0, 2)

    batches = list(zip(noise(4, 3, 4, 4), labels(4)))
    return Case(
        {"net": seeded(Stairs)}, batches, ["conv1", "norm"], every_position,
        {"representation": "positions", "positions": 10_000, "confounder": ["input", "labels"]}, of_first,
        [
            lambda batch, outputs: batch[0].movedim(1, 3).flatten(0, 2),
            lambda batch, outputs: one_hot(batch[1]).repeat_interleave(16, 0),
        ],
    )  # fmt: skip


class Denoiser(nn.Module):
    """Takes a noisy sample, a time step and embedded text, as diffusion models do."""

    def __init__(self):
        super().__init__()
        self.sample = nn.Linear(6, 5)
        self.time = nn.Linear(1, 5)
        self.text = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, sample, timestep, encoder_hidden_states, encoder_attention_mask=None):
        x = self.sample(sample) + self.time(timestep[:, None].float() / 100) + self.text(encoder_hidden_states.mean(1))
        return self.head(torch.tanh(x))


@KINDS.row("confounder: the input of three")
def sample_time_text():
    """The time step has one number a sample; the mask is no input."""
    steps = labels(32, classes=100)
    batches = [
        {"timestep": t, "sample": x, "encoder_hidden_states": y, "encoder_attention_mask": torch.ones(32, 3)}
        for x, t, y in zip(noise(32, 6), steps, noise(32, 3, 4, seed=1))
    ]
    return Case(
        {"net": seeded(Denoiser)}, batches, ["sample", "time", "text", "head"], call=by_name,
        confounders=[lambda batch, outputs: batch["sample"]],
        notes=[r"3 inputs, and dCKA removes only batch\['sample'\]"],
    )  # fmt: skip


class Towers(nn.Module):
    """Two networks side by side, one for images and one for texts."""

    def __init__(self):
        super().__init__()
        self.image = nn.Linear(6, 5)
        self.embed = nn.Embedding(40, 4)
        self.text = nn.Linear(4, 5)

    def forward(self, input_ids=None, pixel_values=None, position_ids=None):
        image = None if pixel_values is None else self.image(pixel_values)
        return image, None if input_ids is None else self.text(self.embed(input_ids).mean(1))


@KINDS.row("confounder: the input, image and text")
def image_and_text():
    """The image has numbers; the text is token ids, and their positions are no input."""
    positions = torch.arange(5).expand(32, 5)
    batches = [
        {"input_ids": tokens, "pixel_values": x, "position_ids": positions}
        for tokens, x in zip(ids(32, 5), noise(32, 6))
    ]
    return Case(
        {"net": seeded(Towers)}, batches, ["image", "embed", "text"], call=by_name,
        confounders=[lambda batch, outputs: batch["pixel_values"]],
        notes=[r"2 inputs, and dCKA removes only batch\['pixel_values'\].*'net:embed'"],
    )  # fmt: skip
