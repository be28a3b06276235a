"""What the provenance tells of each model: choices that change the numbers and that nobody was asked about."""

from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from kinds.nets import Around, Mlp, Wraps, noise, seeded
from kinds.sequences import moe, moe_steps_first
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import simwidget as sw

pytestmark = pytest.mark.filterwarnings("ignore:.*takes no argument for")
Two = namedtuple("Two", ["mean", "scale"])


@dataclass
class Found:
    indices: Tensor
    mean: Tensor
    scale: Tensor


def facts(model, batches=None, **options):
    options = {"measures": "cka", "device": "cpu", "gram_batch": 32, **options}
    result = sw.compare({"net": model}, noise(32, 6) if batches is None else batches, **options).run(progress=False)
    return result.provenance["models"]["net"]


def wrapped(wrap, pick):
    return seeded(lambda: Around(Wraps(wrap), pick))


CHOICES = [
    (lambda y: (y, y.exp()), lambda out: out[0], "output[0], not output[1]"),
    (lambda y: (y.argmax(1), y, [y, y.exp()]), lambda out: out[1], "output[1], not output[2][0] or output[2][1]"),
    (lambda y: {"extra": y[:3], "mean": y, "scale": y}, lambda out: out["mean"], "output['mean'], not output['scale']"),
    (lambda y: Two(y, y), lambda out: out.mean, "output[0], not output[1]"),
    (lambda y: Found(y.argmax(1), y, y), lambda out: out.mean, "output.mean, not output.scale"),
    (lambda y: (y, y.to(torch.complex64)), lambda out: out[0], "output[0], not output[1]"),
]


@pytest.mark.parametrize(("wrap", "pick", "text"), CHOICES, ids=["tuple", "nested", "dict", "named", "data", "complex"])
def test_which_of_several_tensors_is_compared(wrap, pick, text):
    found = facts(wrapped(wrap, pick), layers=["part", "head"])
    assert found["compared_tensor"] == {"part": text}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: (y,),
        lambda y: (y, y.argmax(1), y > 0),
        lambda y: (y, y[:5], y.mean(), y.T),
        lambda y: {"y": y, "none": None, "text": "text"},
    ],
    ids=["one", "whole numbers", "no samples", "no tensors"],
)
def test_one_tensor_is_no_choice(wrap):
    pick = lambda out: out["y"] if isinstance(out, dict) else out[0]  # noqa: E731
    assert "compared_tensor" not in facts(wrapped(wrap, pick))


class Recurrent(nn.Module):
    def __init__(self, pack=False):
        super().__init__()
        self.rnn = nn.LSTM(4, 6, batch_first=True)
        self.head = nn.Linear(6, 3)
        self.pack = pack

    def forward(self, x):
        given = pack_padded_sequence(x, torch.full((len(x),), 5), batch_first=True) if self.pack else x
        return self.head(self.rnn(given)[1][0][0])


@pytest.mark.parametrize("pack", [False, True], ids=["padded", "packed"])
def test_the_states_of_a_recurrent_layer(pack):
    found = facts(seeded(lambda: Recurrent(pack)), noise(32, 5, 4))
    assert found["compared_tensor"] == {"rnn": "output[0], not output[1][0] or output[1][1]"}


@pytest.mark.parametrize(("case", "order"), [(moe, "samples first"), (moe_steps_first, "tokens first")])
def test_tokens_of_all_samples_in_one_dimension(case, order):
    case = case()
    found = facts(case.models["net"], case.batches)
    layers = ["router", *(f"experts.{k}" for k in range(3))]
    way = f"samples in dimension 0 with the tokens, {order} (pass over fewer samples)"
    assert sorted(found["read_as"][way]) == sorted(layers)


def test_the_report_says_it():
    model = wrapped(lambda y: (y, y), lambda out: out[0])
    result = sw.compare({"net": model}, noise(32, 6), measures="cka", device="cpu", gram_batch=32).run(progress=False)
    assert "compared tensor: part: output[0], not output[1]" in " ".join(result.report().split())


@pytest.mark.parametrize(
    ("own", "given", "casts"),
    [
        (torch.float32, torch.float64, ["float64 to float32"]),
        (torch.bfloat16, torch.float32, ["float32 to bfloat16"]),
        (torch.float32, torch.float32, None),
    ],
    ids=["double inputs", "half weights", "alike"],
)
def test_inputs_in_another_dtype(own, given, casts):
    found = facts(seeded(Mlp).to(own), [x.to(given) for x in noise(32, 6)])
    assert found.get("inputs_cast") == casts


def test_autocast():
    assert "autocast" not in facts(seeded(Mlp))
    with torch.autocast("cpu", torch.bfloat16):
        found = facts(seeded(Mlp))
    assert found["autocast"] == "bfloat16"
    assert "inputs_cast" not in found


def test_entries_that_are_not_passed():
    def batches(*more):
        return [(x, *more) for x in noise(32, 6)]

    assert facts(seeded(Mlp), batches(torch.ones(32)))["not_passed"] == ["batch[1]"]
    assert "not_passed" not in facts(seeded(Mlp), batches(torch.arange(32) % 3, "text", torch.ones(5)))
    found = facts(seeded(Mlp), batches(torch.ones(32)), inputs=lambda batch: (batch[0], {"weight": batch[1]}))
    assert found["not_passed"] == ["inputs(batch)[1]['weight']"]
    found = facts(seeded(Mlp), [{"x": x, "weight": torch.ones(32)} for x in noise(32, 6)])
    assert found["not_passed"] == ["batch['weight']"]
    assert "not_passed" not in facts(seeded(Mlp), batches(torch.ones(32)), forward=lambda model, batch: model(batch[0]))


def test_a_run_that_is_resumed_when_it_was_complete_tells_the_same(tmp_path):
    path = tmp_path / "checkpoint"
    batches = [(x.double(), torch.ones(32)) for x in noise(32, 6)]

    def model():
        return wrapped(lambda y: (y, y), lambda out: out[0])

    found = facts(model(), batches, checkpoint=path)
    assert {"compared_tensor", "inputs_cast", "not_passed"} <= found.keys()
    result = sw.resume(path, {"net": model()}, batches).run(progress=False)
    assert result.provenance["models"]["net"] == found
