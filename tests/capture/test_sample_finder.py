"""Where outputs have their samples: never another place without a word, whatever the network and the lengths."""

import random

import numpy as np
import pytest
import reference
import torch
from torch import nn

import simwidget as sw

N = 16


class Drawn(nn.Module):
    """A network of drawn parts over (n, steps, d), some of which want their steps first or all tokens in one row."""

    def __init__(self, rng, steps, d=8):
        super().__init__()
        self.kinds = [rng.choice(list(PARTS)) for _ in range(rng.randint(2, 4))]
        self.parts = nn.ModuleList(PARTS[kind][0](d) for kind in self.kinds)
        self.stem = nn.Linear(4, d)
        self.head = nn.Linear(d, 3)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        for kind, part in zip(self.kinds, self.parts):
            x = x + PARTS[kind][1](part, x)
        return self.head(x.mean(1))


def steps_first(part, x):
    y = part(x.transpose(0, 1))
    return (y[0] if isinstance(y, tuple) else y).transpose(0, 1)


def in_one_row(part, x):
    return part(x.flatten(0, 1)).view_as(x)


def in_one_row_steps_first(part, x):
    y = x.transpose(0, 1)
    return part(y.flatten(0, 1)).view_as(y).transpose(0, 1)


def plainly(part, x):
    y = part(x)
    return y[0] if isinstance(y, tuple) else y


PARTS = {
    "linear": (lambda d: nn.Linear(d, d), plainly),
    "linear, steps first": (lambda d: nn.Linear(d, d), steps_first),
    "norm, steps first": (lambda d: nn.LayerNorm(d), steps_first),
    "LSTM": (lambda d: nn.LSTM(d, d, batch_first=True), plainly),
    "LSTM, steps first": (lambda d: nn.LSTM(d, d), steps_first),
    "GRU, steps first": (lambda d: nn.GRU(d, d), steps_first),
    "encoder": (lambda d: nn.TransformerEncoderLayer(d, 2, 16, batch_first=True), plainly),
    "encoder, steps first": (lambda d: nn.TransformerEncoderLayer(d, 2, 16), steps_first),
    "expert": (lambda d: nn.Linear(d, d), in_one_row),
    "expert, steps first": (lambda d: nn.Linear(d, d), in_one_row_steps_first),
}
READ = {steps_first: (1, 0), in_one_row: "samples", in_one_row_steps_first: "tokens", plainly: (0, 1)}


def true_rows(output, how, steps):
    """The representation (n, p) that the author of the network means."""
    y = output[0] if isinstance(output, tuple) else output
    if how == "samples":
        y = y.unflatten(0, (N, steps))
    elif how == "tokens":
        y = y.unflatten(0, (steps, N)).transpose(0, 1)
    elif how == (1, 0):
        y = y.transpose(0, 1)
    return y.double().flatten(1).numpy()


def outputs_of(net, batch, layers):
    kept = {}

    def keep(name):
        return net.get_submodule(name).register_forward_hook(lambda module, args, output: kept.update({name: output}))

    handles = [keep(name) for name in layers]
    with torch.no_grad():
        net(batch)
    for handle in handles:
        handle.remove()
    return kept


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_are_read_as_they_are_meant(seed):
    rng = random.Random(seed)
    steps = rng.choice([N, N, 7, 2 * N, N // 2, 1])
    torch.manual_seed(seed)
    net = Drawn(rng, steps).eval()
    batches = [torch.randn(N, steps, 4) for _ in range(2)]
    layers = ["stem", *(f"parts.{k}" for k in range(len(net.kinds))), "head"]
    how = [(0, 1), *(READ[PARTS[kind][1]] for kind in net.kinds), None]
    rows = []
    for batch in batches:
        kept = outputs_of(net, batch, layers)
        rows.append([true_rows(kept[name], one, steps) for name, one in zip(layers, how)])
    result = sw.compare({"net": net}, batches, layers=layers, measures="cka", device="cpu", gram_batch=N).run(
        progress=False
    )
    expected, reasons = reference.cka(rows), result.reasons("cka", "net")
    assert result.layers("net") == tuple(layers)
    for x, one in enumerate(layers):
        for y, other in enumerate(layers):
            if one not in reasons and other not in reasons:
                assert result.matrix()[x, y] == pytest.approx(expected[x, y], abs=1e-4), (net.kinds, steps, one, other)
    told = [kind for kind, name in zip(net.kinds, layers[1:]) if name in reasons]
    assert not told or (steps == 1 and all("expert" in kind or "first" in kind for kind in told))


def counted(net, batches, **options):
    """The result of a run, and the number of forward passes."""
    n = 0

    def count(module, args):
        nonlocal n
        n += 1

    handle = net.register_forward_pre_hook(count)
    result = sw.compare({"net": net}, batches, measures="cka", device="cpu", **options).run(progress=False)
    handle.remove()
    return result, n


class StepsFirst(nn.Module):
    def __init__(self, fails=False):
        super().__init__()
        self.one = nn.Linear(4, 7)
        self.two = nn.Linear(7, 5)
        self.drop = nn.Dropout()
        self.fails = fails

    def forward(self, x):
        if self.fails and len(x) != N:
            raise ValueError("made for 16 samples")
        return self.two(self.drop(torch.tanh(self.one(x.transpose(0, 1))))).mean(0)


@pytest.mark.parametrize(("steps", "passes"), [(N, 5 + 2), (7, 5 + 2)])
def test_a_probing_pass_runs_once_and_only_where_shapes_do_not_tell(steps, passes):
    batches = [torch.randn(N, steps, 4) for _ in range(5)]
    assert counted(StepsFirst(), batches, layers=["one", "two"])[1] == passes
    assert counted(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), [b[:, 0] for b in batches])[1] == 5
    assert counted(nn.Sequential(nn.Conv2d(3, N, 3), nn.Conv2d(N, N, 3)), [torch.randn(N, 3, 8, 8)] * 5)[1] == 5


def test_a_batch_that_cannot_be_cut_is_a_reason_that_helps():
    net, batches = StepsFirst(fails=True), [torch.randn(N, N, 4) for _ in range(3)]
    result, _ = counted(net, batches, layers=["one", "two"])
    assert result.reasons("cka", "net").keys() == {"one", "two"}
    for reason in result.reasons("cka", "net").values():
        assert "has 16 entries in two dimensions, as many as the batch has samples" in reason
        assert "2 samples of the batch gave an error: made for 16 samples" in reason
        assert reason.endswith("give batch_dim=")
    advised, _ = counted(net, batches, layers=["one", "two"], batch_dim={"one": 1, "two": 1})
    assert not advised.reasons("cka", "net")
    right, _ = counted(StepsFirst(), batches, layers=["one", "two"])
    assert right.matrix().shape == (2, 2)


def test_a_probing_pass_leaves_nothing_behind():
    """Neither in the numbers of the run that follow, nor in the random numbers of others."""
    net, batches = StepsFirst().train(), [torch.randn(N, N, 4) for _ in range(3)]
    net.drop.eval = lambda: net.drop  # draws random numbers in the run
    torch.manual_seed(3)
    before = torch.get_rng_state()
    probed, n = counted(net, batches, layers=["one", "drop", "two"])
    assert n == 5
    assert torch.equal(torch.get_rng_state(), before)
    told, n = counted(net, batches, layers=["one", "drop", "two"], batch_dim={"*": 1})
    assert n == 3
    assert np.array_equal(probed.matrix(), told.matrix())


def test_what_is_known_stays_known_after_a_checkpoint(tmp_path):
    net, batches = StepsFirst(), [torch.randn(N, N, 4) for _ in range(6)]
    path = tmp_path / "run.simw"
    options = {"layers": ["one", "two"], "measures": "cka", "device": "cpu", "gram_batch": N}
    whole = sw.compare({"net": net}, batches, **options).run(progress=False)
    part = sw.compare({"net": net}, batches, checkpoint=path, checkpoint_seconds=0, **options)
    part.watch(lambda: part.stop() if part.n_batches == 3 else None)
    part.run(progress=False)
    passes = []
    net.register_forward_pre_hook(lambda *_: passes.append(1))
    again = sw.resume(path, {"net": net}, batches, device="cpu").run(progress=False)
    assert np.array_equal(again.matrix(), whole.matrix())
    assert len(passes) == 1 + 3  # the first block again, and the rest


def test_describe_and_representations_probe_too():
    net, x = StepsFirst(), torch.randn(N, N, 4)
    found = sw.describe(net, x)
    assert found["one"].output == (N, N, 7)
    with torch.no_grad():
        expected = net.one(x.transpose(0, 1)).transpose(0, 1)
    assert torch.equal(sw.SimilarityModel(net).representations(x)["one"], expected)
    assert not net._forward_hooks
