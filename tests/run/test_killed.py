"""Killed at any moment, also while the checkpoint is being written, a run goes on to the same bits."""

import multiprocessing
import random
import threading
import time

import killed
import numpy as np
import pytest

KILLS = 20


@pytest.fixture(scope="module")
def processes():
    """Forked from a process that has imported everything and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["simwidget.resuming", "killed"])
    return context


@pytest.fixture(scope="module")
def whole(processes, tmp_path_factory):
    """The numbers of a run that nobody kills."""
    folder = tmp_path_factory.mktemp("whole")
    run = processes.Process(target=killed.work, args=(str(folder / "whole"), str(folder / "whole.npz"), False))
    run.start()
    run.join(120)
    assert run.exitcode == 0
    return np.load(folder / "whole.npz")


def waits_until(condition, seconds=60):
    """Whether a condition came true within a time."""
    ends = time.monotonic() + seconds
    tick = threading.Event()
    while time.monotonic() < ends:
        if condition():
            return True
        tick.wait(0.0002)
    return False


class Writes:
    """Counts how often a checkpoint was replaced, as far as that is seen."""

    def __init__(self, path):
        self.path, self.latest, self.n = path, None, 0

    def reach(self, n):
        """Whether that were `n` times at least."""
        if self.path.exists():
            now = self.path.stat()
            self.n += (now.st_ino, now.st_mtime_ns) != self.latest
            self.latest = now.st_ino, now.st_mtime_ns
        return self.n >= n


def test_killed_at_twenty_moments_it_resumes_to_the_same_bits(processes, whole, tmp_path):
    """Every other kill waits for a checkpoint that is half written; the others come after a random number of them."""
    expected = whole
    rng = random.Random(0)
    begun_at, during_writes = [], 0
    for kill in range(KILLS):
        folder = tmp_path / str(kill)
        folder.mkdir()
        path, results = folder / "run.simw", tmp_path / f"{kill}.npz"
        run = processes.Process(target=killed.work, args=(str(path), str(results), False))
        run.start()
        writes, n = Writes(path), rng.randrange(1, killed.N_BATCHES // 2)
        assert waits_until(lambda: writes.reach(n) or not run.is_alive())  # noqa: B023
        if kill % 2:
            waits_until(lambda: list(folder.glob(".simwidget-*")) or not run.is_alive())  # noqa: B023
        run.kill()
        run.join(60)
        assert run.exitcode == -9, "the run was over before it was killed"
        during_writes += bool(list(folder.glob(".simwidget-*")))
        again = processes.Process(target=killed.work, args=(str(path), str(results), True))
        again.start()
        again.join(120)
        assert again.exitcode == 0
        found = np.load(results)
        begun_at.append(int(found["begun"]))
        assert int(found["n"]) == killed.N_BATCHES
        for name in expected.files:
            if name != "begun":
                np.testing.assert_array_equal(found[name], expected[name], err_msg=f"kill {kill}, {name}")
    assert during_writes >= 3
    assert len(set(begun_at)) > KILLS / 4
    assert max(begun_at) < killed.N_BATCHES
