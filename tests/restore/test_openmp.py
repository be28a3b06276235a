"""A display's thread takes one core, and nobody else's cores; a background run's workers are the only ones."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

import simwidget as sw
from simwidget.restore.openmp import use_one_core


def on_a_thread(*actions):
    returned = []
    thread = threading.Thread(target=lambda: returned.extend(action() for action in actions))
    thread.start()
    thread.join()
    return returned


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
    assert on_a_thread(comparison._on_display_thread, torch.get_num_threads)[1] == 1


gnu = pytest.mark.skipif(
    not list((Path(torch.__file__).parent / "lib").glob("libgomp*")) or not Path("/proc/self/task").exists(),
    reason="counts the threads of GNU's OpenMP, on Linux",
)


COUNT = """
import threading, time
from pathlib import Path
import torch
import simwidget as sw
from simwidget.restore.openmp import release_workers

def n_threads():
    return len(list(Path("/proc/self/task").iterdir()))

torch.set_num_threads(3)
x = torch.randn(1000, 1000)
expected = x.exp().sum()
before = n_threads()
"""
LET_GO = """
release_workers()
ends = time.monotonic() + 20
while n_threads() > before - 2 and time.monotonic() < ends:  # they leave one after the other
    threading.Event().wait(0.01)
gone = n_threads()
assert torch.equal(x.exp().sum(), expected)
print(gone - before, n_threads() - before)
"""
RUN = """
seen = []
net = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU())
comparison = sw.compare(
    {"net": net}, [torch.randn(512, 512)] * 3, measures="cka", device="cpu",
    inputs=lambda batch: (seen.append(n_threads()), batch)[1],
)
comparison.start().wait(60)
print(seen[-1] - before)
"""


def counted(script):
    """What a script prints, in a process of its own, where no other thread comes or goes."""
    command = [sys.executable, "-c", COUNT + script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()


@gnu
def test_workers_that_were_let_go_are_gone_and_come_back():
    assert counted(LET_GO) == ["-2", "0"]


@gnu
def test_a_background_run_has_the_only_workers():
    """Beside those of the thread that started it all workers would fall asleep between their tasks.

    The run's thread comes, and the workers are its own instead.
    """
    assert counted(RUN) == ["1"]
