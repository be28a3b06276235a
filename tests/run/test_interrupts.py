"""Ctrl-C at any place of a run: the state is true, hooks are gone, models are as before, and the run is over."""

import signal
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.restore.copies import owner_of
from simwidget.restore.interrupts import interrupts_allowed, interrupts_held

PACKAGE = str(Path(sw.__file__).parent)
ENDED = {"stopped", "finished"}


class Counts(nn.Module):
    """Writes into a buffer and replaces another one, so that there is something to restore."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 4), nn.Linear(4, 3)
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("cache", torch.zeros(2))

    def forward(self, x):
        self.count += 1
        self.cache = torch.ones(2)
        return self.second(self.first(x))


def networks():
    torch.manual_seed(0)
    return {"a": Counts(), "b": Counts()}


BATCHES = [torch.randn(16, 5) for _ in range(3)]


def content(net):
    return {
        "mode": [module.training for module in net.modules()],
        "registered": [id(one) for module in net.modules() for one in (*module._parameters.values(), *module._buffers.values())],
        "values": [one.tolist() for one in (*net.parameters(), *net.buffers())],
        "hooks": [len(module._forward_hooks) for module in net.modules()],
        "attributes": [sorted(vars(module)) for module in net.modules()],
    }


class Injection:
    """Sends SIGINT to this process before the given lines of the package are executed, counted from the start."""

    def __init__(self, *lines):
        self.pending = sorted(lines)
        self.n_lines = 0
        self.places = []

    def __call__(self, frame, event, arg):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            self.n_lines += 1
            if self.pending and self.n_lines >= self.pending[0]:
                self.pending.pop(0)
                self.places.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
                signal.raise_signal(signal.SIGINT)
        return self

    def run(self, call):
        """Whether the call was interrupted."""
        before, handler = sys.gettrace(), signal.getsignal(signal.SIGINT)
        interrupted = False
        try:
            sys.settrace(self)
            call()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(before)
        assert signal.getsignal(signal.SIGINT) is handler
        return interrupted


def interrupt(*lines):
    """Interrupt one run before these lines, and check what is left. Returns how many lines it had."""
    nets = networks()
    before = {name: content(net) for name, net in nets.items()}
    generators = torch.get_rng_state()
    comparison = sw.compare(nets, BATCHES, gram_batch=16, device="cpu")
    injection = Injection(*lines)
    interrupted = injection.run(lambda: comparison.run(progress=False))
    where = injection.places
    if lines and injection.n_lines >= lines[0]:
        assert interrupted, where
    if comparison.state == "ready":  # before anything was begun
        assert comparison.run(progress=False).n_batches == 3
    assert comparison.state in ENDED, (where, comparison.state)
    assert comparison.error is None, where
    result = comparison.result
    assert (result.n_batches, comparison.state) == (3, "finished") or comparison.state == "stopped", where
    assert result.n_batches <= result.n_samples // 16 <= result.n_batches + 1, where
    assert {name: content(net) for name, net in nets.items()} == before, where
    assert not [hook for net in nets.values() for one in net.modules() for hook in one._forward_hooks.values() if owner_of(hook)]
    assert torch.equal(torch.get_rng_state(), generators), where
    again = sw.compare(nets, BATCHES, gram_batch=16, device="cpu").run(progress=False)  # no run is under way
    assert again.n_samples == 48
    return injection.n_lines


N_PLACES = 1000


@pytest.mark.parametrize("part", range(4))
def test_an_interrupt_at_any_line_leaves_nothing_behind(part):
    n_lines = interrupt()
    assert n_lines > N_PLACES
    step = n_lines / N_PLACES
    for k in range(part * N_PLACES // 4, (part + 1) * N_PLACES // 4):
        interrupt(int(k * step) + 1)


def test_a_second_interrupt_during_the_first_ones_clean_up_waits():
    n_lines = interrupt()
    for k in range(200):
        line = 1 + k * n_lines // 200
        interrupt(line, line + 1 + k % 40)
