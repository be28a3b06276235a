"""The estimate of the memory of a run: how it grows, how close it is to that of the real tensors, and its warning."""

import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import simwidget as sw
from simwidget.estimate.accumulators import GramAccumulator
from simwidget.estimate.history import History
from simwidget.plan.memory import SAFE_SHARE, MemoryEstimate, bytes_free, estimate_memory, format_bytes, memory_warning
from simwidget.run import single_pass as single_pass


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


def warning_of_a_run(monkeypatch, n, dtype=torch.float32, free=1):
    """The warning of a run of three layers and a confounder, which is also a note of its result; None without one."""
    monkeypatch.setattr(single_pass, "bytes_free", lambda device: free)
    net = nn.Sequential(nn.Linear(6, 600), nn.Linear(600, 900), nn.Linear(900, 3)).to(dtype)
    comparison = sw.compare({"net": net}, [torch.randn(n, 6, dtype=dtype) for _ in range(64 // n)], device="cpu")
    if free > 1:
        return comparison.run(progress=False).notes
    with pytest.warns(UserWarning, match=WARNED) as caught:
        result = comparison.run(progress=False)
    (text,) = {str(one.message) for one in caught}
    assert result.notes == (text,)
    return text


@pytest.mark.parametrize("n", [16, 32, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_run_that_hardly_fits_says_so(monkeypatch, n, dtype):
    waiting = (64 - n) * (6 + 600 + 900 + 3) * dtype.itemsize
    estimate = estimate_memory(4, 64, pending_bytes=waiting, joins_batches=n < 64, itemsize=dtype.itemsize)
    assert warning_of_a_run(monkeypatch, n, dtype) == memory_warning(estimate, 1, 4, 64)


def test_a_run_that_fits_says_nothing(monkeypatch):
    assert warning_of_a_run(monkeypatch, 64, free=10**9) == ()
