"""Layers without numbers and runs that fail: the reason that is given, and where it happened."""

import pytest
import torch
from bad_inputs import Holds, N, Pools, Turns, Unused, convolutions, dense_no_more, named, net, pictures, two, vectors

import simwidget as sw

ELSEWHERE = "pass batch_dim= if the samples are in another dimension, or representation= a callable for this layer"

WITHOUT_NUMBERS = [
    ("sparse", lambda: Holds(dense_no_more), vectors, {}, "part",
     "its output (sparse_coo float32 (32, 8)) is not dense: give representation= a callable for this layer that makes "
     "it a dense (32, ...) tensor"),
    ("nested", lambda: Holds(lambda y: torch.nested.nested_tensor(list(y))), vectors, {}, "part",
     "its output (nested float32 ('?', '?')) is not dense: give representation= a callable for this layer that makes "
     "it a dense (32, ...) tensor"),
    ("nothing", lambda: Holds(lambda y: None), vectors, {}, "part",
     "its output (None) has no tensor: choose other layers with layers="),
    ("text", lambda: Holds(lambda y: ["text"]), vectors, {}, "part",
     "its output (list without tensors) has no tensor: choose other layers with layers=, or give representation= a "
     "callable for this layer"),
    ("one number", lambda: Holds(lambda y: y.mean()), vectors, {}, "part",
     f"its output (float32 ()) has no tensor with the batch's 32 samples in dimension 0: {ELSEWHERE}"),
    ("windows", lambda: Holds(lambda y: y.reshape(4 * N, 2)), vectors, {}, "part",
     f"its output (float32 (128, 2)) has no tensor with the batch's 32 samples in dimension 0: {ELSEWHERE}"),
    ("another dimension", net, vectors, {"batch_dim": {"stem": 1}}, "stem",
     f"its output (float32 (32, 16)) has no tensor with the batch's 32 samples in dimension 1: {ELSEWHERE}"),
    ("a dimension that changes", Turns, lambda: [torch.randn(N, 17, 8), torch.randn(17, N, 8)],
     {"layers": ["part", "head"], "gram_batch": 16}, "part",
     "its samples were in dimension 0 before, and are in 1 in batch 1: give batch_dim="),
    ("tokens of maps", convolutions, pictures, {"representation": {"stem": "cls"}}, "stem",
     'its output (32, 4, 4, 4) has positions, no tokens: take representation="mean" or "positions" for it'),
    ("positions of features", Pools, pictures, {"representation": "positions"}, "head",
     "its output (32, 2) has no tokens or positions, only features: choose other layers, or another representation"),
    ("positions of another kind", Pools, pictures, {"representation": "positions"}, "block",
     "its positions (16,) do not correspond to those of the first layer, (4, 4): compare layers of one kind, or "
     "give representation= a callable"),
    ("a layer that never runs", Unused, vectors, {"layers": ["*"]}, "unused", "never ran"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(("what", "model", "loader", "options", "layer", "text"), named(WITHOUT_NUMBERS))
def test_the_reason_of_a_layer_without_numbers(what, model, loader, options, layer, text):
    """The run goes on, and the other layers have numbers."""
    result = sw.compare({"net": model()}, loader(), measures="cka", device="cpu", **options).run(progress=False)
    reasons = result.reasons("cka", "net")
    assert reasons[layer] == text
    well = [k for k, name in enumerate(result.layers("net")) if name not in reasons]
    assert well
    assert result.matrix()[well, well] == pytest.approx(1)


def test_a_model_that_is_under_way_elsewhere():
    model = net()

    def loader():
        yield torch.randn(N, 8)
        sw.compare({"other": model}, vectors(), measures="cka", device="cpu").run(progress=False)

    text = (
        "model 'other' is used by another running comparison: wait for it (`wait()`), stop it, or compare a copy of "
        "the model"
    )
    with pytest.raises(RuntimeError) as raised:
        sw.compare({"net": model}, loader(), measures="cka", device="cpu").run(progress=False)
    assert str(raised.value) == text


@pytest.mark.parametrize("start", [False, True], ids=["run", "start"])
def test_a_failure_says_where(start):
    """Whatever comes out of a model, of a user's function or of the loader is told as it is, with its place."""

    def fail(batch):
        raise KeyError("their own")

    comparison = sw.compare(two(), vectors(), measures="cka", device="cpu", inputs=(None, fail))
    with pytest.raises(KeyError) as raised:
        comparison.start().wait(60) if start else comparison.run(progress=False)
    assert raised.value.args == ("their own",)
    if hasattr(raised.value, "__notes__"):  # Python 3.11 and later
        assert raised.value.__notes__ == [
            "simwidget: in inputs= of model 'second'",
            "simwidget: in batch 0 of the loader",
        ]


def test_a_run_that_cannot_begin_is_not_under_way(monkeypatch):
    comparison = sw.compare({"net": net()}, vectors(), measures="cka", device="cpu")

    def fail():
        raise RuntimeError("no generator")

    monkeypatch.setattr(torch, "get_rng_state", fail)
    with pytest.raises(RuntimeError, match="no generator"):
        comparison.run(progress=False)
    monkeypatch.undo()
    assert comparison.state == "ready"
    assert comparison.run(progress=False).complete
