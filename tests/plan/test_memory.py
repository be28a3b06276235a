"""The estimate of the memory of a run: how it grows, how close it is to that of the real tensors, and its warning."""

import re
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import simwidget as sw
from simwidget.estimate.accumulators import GramAccumulator
from simwidget.estimate.history import History
from simwidget.gram.gram_batch import GramBatch, StackBuffer
from simwidget.plan.memory import SAFE_SHARE, MemoryEstimate, bytes_free, estimate_memory, format_bytes, memory_warning
from simwidget.run import memory_check


def test_how_it_grows():
    few, more = estimate_memory(200, 64), estimate_memory(400, 64)
    assert more.grams == 2 * few.grams
    assert more.sums > 2 * few.sums
    assert estimate_memory(200, 128).grams == 4 * few.grams
    assert estimate_memory(200, 128).sums == few.sums
    assert estimate_memory(200, 64, itemsize=8).grams == 2 * few.grams
    assert estimate_memory(200, 64, n_row_maps=2).sums == 2 * few.sums
    assert estimate_memory(200, 64, n_row_maps=2).grams > few.grams
    assert estimate_memory(200, 64, pending_bytes=1000).joined == 0
    assert estimate_memory(200, 64, pending_bytes=1000, joins_batches=True).joined == 1000
    for one in (few, more, estimate_memory(1, 4, pending_bytes=10, joins_batches=True)):
        assert one.total == one.sums + one.grams + one.joined > 0


def n_bytes(*tensors):
    return sum(one.untyped_storage().nbytes() for one in tensors)


@pytest.mark.parametrize("n_rows", [20, 100, 300])
def test_the_sums_take_what_is_said(n_rows):
    """The sums, a copy for a display, and a full history."""
    state, history = GramAccumulator(n_rows, 1.0), History(n_rows)
    total = state.total()
    peak = 0
    for batch in range(300):
        if history.count_gram():
            history.append(batch, *total)
        peak = max(peak, sum(n_bytes(point.products) for point in history.points))
    copy = state.sums()
    real = n_bytes(state._products, copy.products) + peak
    assert estimate_memory(n_rows, 4).sums == pytest.approx(real, rel=0.1)


class Live(TorchDispatchMode):
    """Records the peak memory of all tensors that operations made while they are alive."""

    def __init__(self, *known):
        super().__init__()
        self.peak = 0
        self._known = {one.untyped_storage()._cdata for one in known}
        self._live = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor) and one.untyped_storage()._cdata not in self._known:
                storage = one.untyped_storage()
                self._live[storage._cdata] = (weakref.ref(storage), storage.nbytes())
        self._live = {key: (ref, size) for key, (ref, size) in self._live.items() if ref() is not None}
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))
        return made


def peak_of_a_run(net, data, **options):
    comparison = sw.compare({"net": net}, data, device="cpu", measures="cka", **options)
    with Live(*net.parameters(), *data) as live:
        comparison.run(progress=False)
    return live.peak


@pytest.mark.filterwarnings("ignore:float32 cannot tell")
@pytest.mark.parametrize("n", [128, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gram_matrices_take_what_is_said(dtype, n):
    net = nn.Sequential(*[nn.Linear(2, 2) for _ in range(20)]).to(dtype)
    peak = peak_of_a_run(net, [torch.randn(n, 2, dtype=dtype) for _ in range(3)])
    estimate = estimate_memory(20, n, itemsize=dtype.itemsize)
    assert estimate.grams > 0.8 * estimate.total
    assert peak == pytest.approx(estimate.total, rel=0.1)


class Fan(nn.Module):
    """Layers with wide outputs and few weights."""

    def __init__(self, count, width):
        super().__init__()
        self.parts = nn.ModuleList(nn.Identity() for _ in range(count))
        self.width = width

    def forward(self, x):
        for part in self.parts:
            part(x.repeat(1, self.width))


def test_representations_that_wait_take_what_is_said():
    peak = peak_of_a_run(Fan(40, 2048), [torch.randn(16, 1) for _ in range(4)], layers=["parts.*"])
    waiting = 40 * 48 * 2048 * 4  # all samples of a Gram matrix but those of its last forward pass
    estimate = estimate_memory(40, 64, pending_bytes=waiting, joins_batches=True)
    assert estimate.joined > 0.8 * estimate.total
    assert peak == pytest.approx(estimate.total, rel=0.1)


REMEDIES = {
    "sums": "choose fewer layers (layers=)",
    "grams": "use a smaller batch or gram_batch",
    "joined": 'use representation="mean", or batches as large as gram_batch, which are not joined',
}


@pytest.mark.parametrize("largest", REMEDIES)
def test_the_warning_names_the_largest_part(largest):
    parts = {"sums": 1_000_000_000, "grams": 2_000_000_000, "joined": 1_500_000, largest: 3_210_000_000}
    estimate = MemoryEstimate(**parts)
    assert memory_warning(estimate, 1_000_000_000, 70, 64) == (
        f"this run of 70 layers and 64 samples a Gram matrix needs about {format_bytes(estimate.total)}: "
        f"{format_bytes(parts['sums'])} for the sums, {format_bytes(parts['grams'])} for the Gram matrices, "
        f"{format_bytes(parts['joined'])} for representations that wait to be joined; "
        f"1 GB are free: {REMEDIES[largest]}"
    )


def test_there_is_no_warning_where_it_fits_or_nobody_knows():
    estimate = MemoryEstimate(400, 300, 100)
    assert memory_warning(estimate, None, 3, 64) is None
    assert memory_warning(estimate, round(800 / SAFE_SHARE), 3, 64) is None
    assert memory_warning(estimate, round(800 / SAFE_SHARE) - 1, 3, 64) is not None


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (45_600, "45.6 kB"), (7_654_321, "7.65 MB"), (3 * 10**11, "300 GB")],
)
def test_bytes_for_a_reader(n, text):
    assert format_bytes(n) == text


def test_what_is_free():
    assert 0 < bytes_free(torch.device("cpu")) < 2**50
    assert bytes_free(torch.device("meta")) is None


WARNED = r"^this run of 4 layers and 64 samples a Gram matrix needs about "


def warning_of_a_run(monkeypatch, n, free, dtype=torch.float32):
    """The warning of a run of three layers and a confounder, which is also a note of its result; None without one."""
    monkeypatch.setattr(memory_check, "bytes_free", lambda device: free)
    net = nn.Sequential(nn.Linear(6, 600), nn.Linear(600, 900), nn.Linear(900, 3)).to(dtype)
    comparison = sw.compare({"net": net}, [torch.randn(n, 6, dtype=dtype) for _ in range(64 // n)], device="cpu")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = comparison.run(progress=False)
    texts = [str(one.message) for one in caught]
    assert list(result.notes) == texts  # each is said once
    return texts[0] if texts else None


def estimate_of_a_run(n, dtype=torch.float32):
    waiting = (64 - n) * (6 + 600 + 900 + 3) * dtype.itemsize
    return estimate_memory(4, 64, pending_bytes=waiting, joins_batches=n < 64, itemsize=dtype.itemsize)


@pytest.mark.parametrize("n", [16, 32, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_run_that_hardly_fits_says_so(monkeypatch, n, dtype):
    estimate = estimate_of_a_run(n, dtype)
    free = round(estimate.total / SAFE_SHARE) - 1
    assert re.match(WARNED, memory_warning(estimate, free, 4, 64))
    assert warning_of_a_run(monkeypatch, n, free, dtype) == memory_warning(estimate, free, 4, 64)


def test_a_run_that_fits_says_nothing(monkeypatch):
    assert warning_of_a_run(monkeypatch, 32, round(estimate_of_a_run(32).total / SAFE_SHARE)) is None


def events_of_a_run(monkeypatch, net, batches, free, **options):
    """In order: the texts of warnings, each stack of Gram matrices (rows, n, n), each representation that is put."""
    events = []
    allocate, put, warn = StackBuffer.allocate, GramBatch.put, warnings.warn
    monkeypatch.setattr(memory_check, "bytes_free", lambda device: free)

    def allocated(n_rows, n, dtype, device):
        events.append((n_rows, n, n))
        return allocate(n_rows, n, dtype, device)

    def kept(self, key, x, *others):
        events.append(key[1])
        put(self, key, x, *others)

    def warned(text, *others, **more):
        events.append(str(text).partition(" needs ")[0])
        warn(text, *others, **more)

    monkeypatch.setattr(StackBuffer, "allocate", staticmethod(allocated))
    monkeypatch.setattr(GramBatch, "put", kept)
    monkeypatch.setattr(warnings, "warn", warned)
    comparison = sw.compare({"net": net}, batches, device="cpu", measures="cka", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        comparison.run(progress=False)
    return events, comparison.result.notes


def test_the_warning_comes_before_the_first_gram_matrix(monkeypatch):
    """The stack is made once, for all layers that are chosen."""
    net = nn.Sequential(*[nn.Linear(2, 2) for _ in range(5)])
    events, _ = events_of_a_run(monkeypatch, net, [torch.randn(64, 2)], free=1000)
    assert events == ["this run of 5 layers and 64 samples a Gram matrix", "0", (5, 64, 64), "1", "2", "3", "4"]


def test_the_warning_comes_before_what_does_not_fit_is_kept(monkeypatch):
    """The first two of three wide representations may be joined, the third may not."""
    estimate = estimate_memory(3, 64, pending_bytes=3 * 48 * 2**16 * 4, joins_batches=True)
    events, notes = events_of_a_run(
        monkeypatch, Fan(3, 2**16), [torch.randn(16, 1)] * 4, free=estimate.total, layers=["parts.*"]
    )
    warning = "this run of 3 layers and 64 samples a Gram matrix"
    assert events[:4] == ["parts.0", "parts.1", warning, "parts.2"]
    assert events.count(warning) == 1
    assert events[-4:] == ["parts.0", (3, 64, 64), "parts.1", "parts.2"]
    assert notes[0] == memory_warning(estimate, estimate.total, 3, 64)


def test_a_run_that_needs_much_more_than_was_said_says_so_again(monkeypatch):
    """Layers that run many times have a row for each: at first only one of each is known."""

    class Repeats(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Linear(2, 2)

        def forward(self, x):
            for _ in range(8):
                x = self.part(x)

    events, notes = events_of_a_run(monkeypatch, Repeats(), [torch.randn(64, 2)], free=1000)
    warned = [one for one in events if "samples a Gram matrix" in str(one)]
    assert warned == [f"this run of {n} layers and 64 samples a Gram matrix" for n in (1, 8)]
    assert events[0] == warned[0]
    assert [note.partition(" needs ")[0] for note in notes] == warned[1:]
