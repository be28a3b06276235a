"""A display's thread takes one core, and nobody else's cores; a background run's workers are the only ones."""

import threading
import time
from pathlib import Path

import pytest
import torch

import simwidget as sw
from simwidget.threads import let_workers_go, use_one_core


def on_a_thread(*deeds):
    told = []
    thread = threading.Thread(target=lambda: told.extend(deed() for deed in deeds))
    thread.start()
    thread.join()
    return told


def test_only_this_thread_takes_one_core():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert on_a_thread(use_one_core, torch.get_num_threads) == [None, 1]
        assert torch.get_num_threads() == 3
        assert on_a_thread(torch.get_num_threads) == [3]
    finally:
        torch.set_num_threads(before)


def test_a_comparison_does_so_for_its_displays():
    models, loader, _ = sw.demo.load()
    comparison = sw.compare(models, loader, layers=["stage?"], device="cpu")
    assert on_a_thread(comparison.attend, torch.get_num_threads)[1] == 1


def n_threads():
    return len(list(Path("/proc/self/task").iterdir()))


def falls_to(count, seconds=10):
    """Whether this process has so many threads within a time; they leave one after the other."""
    ends = time.monotonic() + seconds
    while n_threads() > count and time.monotonic() < ends:
        threading.Event().wait(0.01)
    return n_threads() <= count


gnu = pytest.mark.skipif(
    not list((Path(torch.__file__).parent / "lib").glob("libgomp*")) or not Path("/proc/self/task").exists(),
    reason="counts the threads of GNU's OpenMP, on Linux",
)


@gnu
def test_workers_that_were_let_go_are_gone_and_come_back():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        x = torch.randn(1000, 1000)
        expected = x.exp().sum()
        busy = n_threads()
        let_workers_go()
        assert falls_to(busy - 2)
        assert torch.equal(x.exp().sum(), expected)
        assert n_threads() == busy
    finally:
        torch.set_num_threads(before)


@gnu
def test_a_background_run_has_the_only_workers():
    """Beside those of the thread that started it, which would let all workers fall asleep between their tasks."""
    torch.randn(1000, 1000).exp()
    seen = []

    def look(batch):
        seen.append(n_threads())
        return batch

    before = n_threads()
    net = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU())
    comparison = sw.compare({"net": net}, [torch.randn(512, 512)] * 3, measures="cka", inputs=look, device="cpu")
    comparison.start().wait(60)
    assert seen[-1] == before + 1  # the run's thread came, the pool's place changed
