"""Which of several inputs dCKA removes is noted, and the note's own words remove the others."""

import re

import numpy as np
import pytest
import reference
import torch
from kinds.batches import Named, labels, two_inputs
from kinds.calls import Pair
from kinds.confounders import Denoiser, Towers, image_and_text, sample_time_text
from kinds.nets import Mlp, ids, noise, seeded
from torch import nn

import simwidget as sw

pytestmark = pytest.mark.filterwarnings("ignore:.*dCKA removes")


def run(model, batches, **options):
    models = model if isinstance(model, dict) else {"net": model}
    return sw.compare(models, batches, device="cpu", **options).run(progress=False)


def notes(result):
    return [note for note in result.notes if "dCKA removes" in note and "token ids, whose" not in note]


def printed(result, **names):
    """The value that the note says to give."""
    (note,) = notes(result)
    return eval(re.search(r"confounder=(\[.*\]) or a part of this list", note)[1], names)


def outputs(model, batches, layers, call):
    """The layers' outputs in each batch, flattened, in float64."""
    model = reference.without_inplace(model).eval()
    found = []
    for batch in batches:
        kept = {}

        def keep(module, args, output, kept=kept):
            kept[module] = flat(output)

        handles = [model.get_submodule(name).register_forward_hook(keep) for name in layers]
        with torch.no_grad():
            call(model, batch)
        for handle in handles:
            handle.remove()
        found.append([kept[model.get_submodule(name)] for name in layers])
    return found


def flat(x):
    return x.double().reshape(len(x), -1).numpy()


def check(model, batches, layers, call, removed, **names):
    """Follow the note's advice, all of it and each part, and compare with the oracle."""
    batches = [*batches]
    options = printed(run(model, batches, layers=layers, gram_batch=32), **names)
    assert len(options) == len(removed)
    found = outputs(model, batches, [*layers, *(one for one in removed if isinstance(one, str))], call)
    values = [
        [one[len(layers)] if isinstance(name, str) else flat(name(batch)) for name in removed]
        for one, batch in zip(found, batches)
    ]
    for part in [slice(None), *(slice(k, k + 1) for k in range(len(options)))]:
        result = run(model, batches, layers=layers, gram_batch=32, confounder=options[part])
        assert notes(result) == [] or options[part] == ["input"]
        expected = reference.dcka([one[: len(layers)] for one in found], [one[part] for one in values])
        assert np.abs(result.matrix("dcka") - expected).max() < 1e-4


def test_two_frames():
    check(
        seeded(Pair), zip(noise(32, 6), noise(32, 4, seed=1)), ["left", "right", "head"],
        lambda model, batch: model(*batch), [lambda batch: batch[0], lambda batch: batch[1]],
    )  # fmt: skip


def test_sample_time_step_and_text():
    case = sample_time_text()
    removed = [lambda batch, key=key: batch[key] for key in ("sample", "timestep", "encoder_hidden_states")]
    check(seeded(Denoiser), case.batches, ["sample", "head"], case.call, removed)


def test_image_and_text():
    case = image_and_text()
    removed = [lambda batch: batch["pixel_values"], "embed"]
    check(seeded(Towers), case.batches, ["text"], case.call, removed)


def test_named_entries():
    call = lambda model, batch: model(batch["seen"], batch["heard"])  # noqa: E731
    removed = [lambda batch: batch["heard"], lambda batch: batch["seen"]]
    check(seeded(Named), two_inputs(), ["seen", "head"], call, removed)


class Both(nn.Module):
    """An encoder and a decoder that share an embedding."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(40, 5)
        self.encoder = nn.Linear(5, 4)
        self.decoder = nn.Linear(9, 3)

    def forward(self, input_ids, decoder_input_ids):
        x = torch.tanh(self.encoder(self.shared(input_ids).mean(1)))
        return self.decoder(torch.cat([x, self.shared(decoder_input_ids).mean(1)], 1))


def test_token_ids_of_two_kinds():
    """The second call of the embedding has those of the decoder."""
    model = seeded(Both)
    batches = [{"input_ids": a, "decoder_input_ids": b} for a, b in zip(ids(32, 5), ids(32, 4, seed=1))]
    result = run(model, batches, layers=["decoder"], gram_batch=32)
    assert notes(result) == [
        "the batch has 2 inputs, and dCKA removes only batch['input_ids']: to remove batch['decoder_input_ids'] too, "
        "give confounder= a list of 'input' and the layers that embed these ids"
    ]
    followed = run(model, batches, layers=["encoder", "decoder"], gram_batch=32, confounder=["input", "shared#1"])
    assert notes(followed) == []
    with torch.no_grad():
        x = [[flat(model.shared(batch[key])) for key in batch] for batch in batches]
        encoded = [model.encoder(model.shared(batch["input_ids"]).mean(1)) for batch in batches]
        layers = [[flat(y), flat(model(**batch))] for y, batch in zip(encoded, batches)]
    assert np.abs(followed.matrix("dcka") - reference.dcka(layers, x)).max() < 1e-4


def test_an_entry_that_no_model_gets():
    """The first floating-point tensor is removed even if it is a weight of the samples."""
    batches = [{"weight": w.abs(), "x": x} for w, x in zip(noise(32, 1), noise(32, 6, seed=1))]
    with pytest.warns(UserWarning, match="takes no argument for the batch's 'weight'"):
        result = run(seeded(Mlp), batches, gram_batch=32)
    assert notes(result) == [
        "dCKA removes batch['weight'], which no model gets as an input: to choose, give "
        "confounder=[lambda batch: batch['x']] or a part of this list"
    ]
    with pytest.warns(UserWarning, match="takes no argument"):
        followed = run(seeded(Mlp), batches, layers=["two", "head"], gram_batch=32, confounder=printed(result))
    layers = outputs(seeded(Mlp), batches, ["two", "head"], lambda model, batch: model(batch["x"]))
    expected = reference.dcka(layers, [[flat(batch["x"])] for batch in batches])
    assert np.abs(followed.matrix("dcka") - expected).max() < 1e-4


def second(batch):
    return batch[1]


def test_each_model_has_an_input_of_its_own():
    batches = list(zip(noise(32, 6), noise(32, 6, seed=1)))
    models = {"a": seeded(Mlp), "b": seeded(Mlp, 1)}
    result = run(models, batches, inputs={"b": second})
    assert "the batch has 2 inputs, and dCKA removes only batch[0]" in notes(result)[0]
    assert notes(run(models, batches, inputs={"b": second}, confounder=printed(result))) == []


class Sample:
    """A batch that only the user's function can read."""

    def __init__(self, x, y):
        self.x, self.y = x, y


def test_inputs_that_a_function_makes():
    def prepare(batch):
        return {"seen": batch.x, "heard": batch.y}

    batches = [Sample(x, y) for x, y in zip(noise(32, 6), noise(32, 4, seed=1))]
    result = run(seeded(Named), batches, inputs=prepare)
    (note,) = notes(result)
    assert "removes only f(batch)['seen']" in note
    assert note.endswith("where f is inputs= of 'net'")
    options = printed(result, f=prepare)
    assert torch.equal(options[1](batches[0]), batches[0].y)
    assert notes(run(seeded(Named), batches, inputs=prepare, confounder=options)) == []


def test_what_a_function_does_with_the_batch_is_unknown():
    """All tensors with samples are named, but not labels and masks."""
    batches = [
        {"x": x, "weight": w, "label": y, "x_mask": x > 0}
        for x, w, y in zip(noise(32, 6), noise(32, 1, seed=1), labels(32))
    ]
    result = run(seeded(Mlp), batches, forward=lambda model, batch: model(batch["x"]))
    assert notes(result) == [
        "the batch has 2 tensors with its samples, and dCKA removes only batch['x']: to choose, give "
        "confounder=['input', lambda batch: batch['weight']] or a part of this list"
    ]


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x, attention_mask, token_type_ids=None):
        return self.head(torch.tanh(self.one(x)).mean(1))


@pytest.mark.parametrize(
    "batches",
    [
        noise(32, 5, 4),
        [(x, torch.ones(32, 5), y) for x, y in zip(noise(32, 5, 4), labels(32))],
        [(x, x[..., 0] > -9, torch.ones(32)) for x in noise(32, 5, 4)],
        [{"attention_mask": torch.ones(32, 5), "x": x, "token_type_ids": torch.ones(32, 5).long(), "labels": y}
         for x, y in zip(noise(32, 5, 4), labels(32))],
    ],
    ids=["one tensor", "mask and labels", "what the model does not get", "by name"],
)  # fmt: skip
def test_one_input_needs_no_note(batches):
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 6))) if isinstance(batches[0], torch.Tensor) else seeded(Masked)
    assert notes(run(model, batches)) == []


@pytest.mark.parametrize("confounder", ["labels", "head", lambda batch: batch[1]], ids=["labels", "layer", "callable"])
def test_a_chosen_confounder_needs_no_note(confounder):
    batches = list(zip(noise(32, 6), noise(32, 4, seed=1)))
    if confounder == "labels":
        batches = [{"a": a, "b": b, "labels": y} for (a, b), y in zip(batches, labels(32))]
    assert notes(run(seeded(Pair), batches, confounder=confounder)) == []


def test_nothing_is_removed_without_dcka():
    batches = list(zip(noise(32, 6), noise(32, 4, seed=1)))
    assert notes(run(seeded(Pair), batches, measures="cka")) == []
