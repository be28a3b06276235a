"""In the loop, nothing waits for the device.

Meta tensors stand for those of a GPU: they have no values, so whatever reads one into Python raises.
"""

from contextlib import ExitStack, nullcontext

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import simwidget as sw
from simwidget.capture.caller import Caller
from simwidget.data.parsing import parse_batch
from simwidget.data.uploads import Uploads

META = torch.device("meta")
OPEN = ExitStack()
"""the passes of a test"""


def network():
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8 * 36, 10))
    return nn.Sequential(*layers).eval().to(META)


@pytest.fixture
def batches():
    return [(torch.randn(16, 3, 8, 8), torch.arange(16) % 4) for _ in range(4)]


@pytest.fixture(autouse=True)
def closed():
    yield
    OPEN.close()


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch):
    """Autocast does not know these tensors."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *device_type: False)
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())


def stream_of(batches, **options):
    options = {"layers": ["*"], "gram_batch": 16, "device": META, **options}
    return sw.compare(network(), network(), batches, names=("a", "b"), **options)._held.single_pass


def step_through(single_pass, batches):
    OPEN.enter_context(single_pass)
    for batch in batches:
        single_pass.step(batch)


def over_space(batch):
    return batch[0].mean((2, 3))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precision": "high"},
        {"unbiased": False},
        {"measures": ("cka",)},
        {"gram_batch": 32},
        {"representation": "mean"},
        {"confounder": ["input", "labels"]},
        {"confounder": over_space},
        {"average": "cka"},
        {"average": "cka", "unbiased": False},
        {"representation": "positions"},
    ],
    ids=lambda options: str({name: getattr(value, "__name__", value) for name, value in options.items()}),
)
def test_batches_are_taken_without_reading_anything(batches, options):
    single_pass = stream_of(batches, **options)
    step_through(single_pass, batches)
    assert single_pass.n_batches == 4
    assert single_pass.n_grams == (2 if "gram_batch" in options else 4)
    sums = single_pass.freeze().sums
    assert sums
    assert all(one.products.device == META for one in sums.values())


def test_who_reads_is_found(batches):
    single_pass = stream_of(batches, representation=lambda x: x if x.sum() > 0 else -x)
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta tensors"):
        step_through(single_pass, batches)


class Copies(TorchDispatchMode):
    """The shapes of what is copied to the device while this is active."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if func.overloadpacket is torch.ops.aten._to_copy and device == META and args[0].device != META:
            self.shapes.append(tuple(args[0].shape))
        return func(*args, **kwargs)


def test_a_batch_goes_to_the_device_once_for_all(batches):
    single_pass = stream_of(batches)
    step_through(single_pass, batches[:2])
    with Copies() as copies:
        single_pass.step(batches[2])
    assert copies.shapes == [(16, 3, 8, 8)]


def test_every_network_may_write_into_its_input():
    x, uploads = torch.randn(4, 3), Uploads()
    assert uploads.to(x, x.device) is x
    there = uploads.to(x, META)
    assert there.device == META
    assert uploads.to(x, META) is there
    batch = parse_batch(x, 0)
    given = []
    for _ in range(2):
        Caller(nn.Identity(), "net")(given.append, batch, META)
    given[0].add_(1)
    assert (given[0]._version, given[1]._version, batch.uploads.to(x, META)._version) == (1, 0, 0)
    uploads.clear()
    assert uploads.to(x, META) is not there


def test_another_tensor_at_the_same_address_is_another():
    uploads = Uploads()
    shapes = {tuple(uploads.to(torch.zeros(k), META).shape) for k in range(1, 30)}
    assert len(shapes) == 29
