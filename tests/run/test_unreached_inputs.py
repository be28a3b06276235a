"""Where layers never ran, the entries of the batch that did not reach the model are named, with a way to pass them."""

import re

import numpy as np
import pytest
import reference
import torch
from kinds.calls import Optional
from kinds.nets import Mlp, noise, seeded
from torch import nn

import simwidget as sw

pytestmark = pytest.mark.filterwarnings("ignore:.*never ran", "ignore:.*takes no argument for")
LAYERS = ["left", "right", "head"]


def run(models, batches, **options):
    models = models if isinstance(models, dict) else {"net": models}
    return sw.compare(models, batches, measures="cka", device="cpu", gram_batch=32, **options).run(progress=False)


def notes(result):
    return [note for note in result.notes if "never ran" in note]


def batches(make=lambda a, b: (a, b)):
    return [make(a, b) for a, b in zip(noise(32, 6), noise(32, 4, seed=1))]


def printed(text, **names):
    """The value that a text says to give."""
    return eval(re.search(r"such as inputs=(\{.*\})", text)[1], names)


def expected():
    """CKA of the three layers where both inputs are passed."""
    model, found = seeded(Optional), []
    with torch.no_grad():
        for a, b in batches():
            left, right = model.left(a), model.right(b)
            found.append([left.numpy(), right.numpy(), model.head(torch.tanh(left) * torch.tanh(right)).numpy()])
    return reference.cka(found)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda a, b: (a, b), "batch[1]"),
        (lambda a, b: [a, torch.arange(32) % 3, b], "batch[2]"),
        (lambda a, b: {"left": a, "heard": b, "labels": torch.arange(32) % 3}, "batch['heard']"),
        (lambda a, b: ({"left": a, "left_mask": a > 0}, {"right": b}), "batch[1]['right']"),
    ],
    ids=["tuple", "labels between", "a key of another name", "a second mapping"],
)
def test_the_advice_passes_what_was_missed(make, path):
    given = batches(make)
    result = run(seeded(Optional), given, layers=LAYERS)
    reason = result.reasons("cka", "net")["right"]
    assert reason.startswith(
        f"never ran: the model did not get {path}, and nothing was passed to right, extra of its forward: "
    )
    assert notes(result) == [f"layer 'right' of model 'net' {reason}"]
    followed = run(seeded(Optional), given, layers=LAYERS, inputs=printed(reason))
    assert notes(followed) == []
    assert followed.reasons("cka", "net") == {}
    assert np.abs(followed.matrix() - expected()).max() < 1e-5


def test_layers_that_were_chosen_by_default_are_missed_too():
    models = {"net": seeded(Optional), "other": seeded(lambda: Mlp(6))}
    result = run(models, batches())
    assert result.layers("net") == ("left", "head")
    (note,) = notes(result)
    followed = run(models, batches(), inputs=printed(note))
    assert followed.layers("net") == ("left", "right", "head")
    assert np.abs(followed.matrix("cka", ("net", "net")) - expected()).max() < 1e-5


def test_of_what_an_inputs_function_makes():
    def prepare(batch):
        return tuple(batch.values())

    given = batches(lambda a, b: {"one": a, "two": b})
    result = run(seeded(Optional), given, layers=LAYERS, inputs=prepare)
    (note,) = notes(result)
    assert "the model did not get f(batch)[1]" in note
    assert note.endswith("where f is the present inputs= of 'net'")
    followed = run(seeded(Optional), given, layers=LAYERS, inputs=printed(note, f=prepare))
    assert np.abs(followed.matrix() - expected()).max() < 1e-5


def test_two_names_of_one_network():
    model = seeded(Optional)
    (note,) = notes(run({"a": model, "b": model}, batches()))
    followed = run({"a": model, "b": model}, batches(), inputs=printed(note))
    assert followed.layers("a") == followed.layers("b") == ("left", "right", "head")


class Unused(nn.Module):
    """Has a layer that nothing reaches."""

    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 5)
        self.right = nn.Linear(4, 5)

    def forward(self, left, mask=None, output_text: bool | None = None, labels=None, scale=1.0):
        return self.left(left)


@pytest.mark.parametrize("make", [lambda a, b: (a, b), lambda a, b: a], ids=["nothing open", "nothing missed"])
def test_a_layer_that_never_runs_for_another_reason(make):
    result = run(seeded(Unused), batches(make), layers=["left", "right"])
    assert result.reasons("cka", "net") == {"right": "never ran"}
    assert notes(result) == []


@pytest.mark.parametrize("second", [torch.arange(32) % 3, torch.ones(32, 4).bool(), torch.ones(4)])
def test_labels_masks_and_what_has_no_samples_are_not_missed(second):
    result = run(seeded(Optional), batches(lambda a, b: (a, second)), layers=LAYERS)
    assert result.reasons("cka", "net") == {"right": "never ran"}


def test_the_users_own_function_passes_what_it_likes():
    result = run(seeded(Optional), batches(), layers=LAYERS, forward=lambda model, batch: model(batch[0]))
    assert result.reasons("cka", "net") == {"right": "never ran"}


def test_a_resumed_run_keeps_the_reason(tmp_path):
    path = tmp_path / "checkpoint"
    run(seeded(Optional), batches(), layers=LAYERS, checkpoint=path, checkpoint_seconds=0, max_batches=1)
    result = sw.resume(path, {"net": seeded(Optional)}, batches(), max_batches=None).run(progress=False)
    assert "the model did not get batch[1]" in result.reasons("cka", "net")["right"]
    assert len(notes(result)) == 1


def test_default_layers_that_never_ran_stay_left_out_after_resuming(tmp_path):
    path = tmp_path / "checkpoint"
    run(seeded(Optional), batches(), checkpoint=path, checkpoint_seconds=0, max_batches=1)
    result = sw.resume(path, {"net": seeded(Optional)}, batches(), max_batches=None).run(progress=False)
    assert result.layers("net") == ("left", "head")
    assert result.provenance["models"]["net"]["left_out_because_never_run"] == ["right"]
