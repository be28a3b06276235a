"""Ctrl-C at any place of a run: the state is true, hooks are gone, models are as before, and the run is over."""

import ast
import os
import random
import signal
import sys
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from threading import Event, Thread

import pytest
import torch
from torch import nn

import simwidget as sw
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
    encoder = nn.TransformerEncoderLayer(5, 1, 8, batch_first=True)  # whose fused path is off during a forward pass
    return {"a": Counts(), "b": nn.Sequential(nn.Unflatten(1, (1, 5)), encoder)}


BATCHES = [torch.randn(16, 5) for _ in range(3)]


def content(net):
    return {
        "mode": [module.training for module in net.modules()],
        "registered": [
            id(one) for module in net.modules() for one in (*module._parameters.values(), *module._buffers.values())
        ],
        "values": [one.tolist() for one in (*net.parameters(), *net.buffers())],
        "hooks": [len(module._forward_hooks) for module in net.modules()],
        "attributes": [sorted(vars(module)) for module in net.modules()],
    }


@cache
def with_lines(path):
    """The lines of `with` statements. Tracing stops there once more as a context ends, before its `__exit__` is called.

    There an exception would leave the context open; no signal is handled there, as Python looks for signals only
    after calls and in jumps.
    """
    tree = ast.parse(Path(path).read_text())
    return {node.lineno for node in ast.walk(tree) if isinstance(node, ast.With)}


class Injection:
    """Sends SIGINT to this process before the given lines of the package are executed, counted from the start.

    Where such a line is a `with` statement, it is sent before the next one that is none.
    """

    def __init__(self, *lines):
        self.pending = sorted(lines)
        self.n_lines = 0
        self.places = []

    def __call__(self, frame, event, arg):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            self.n_lines += 1
            is_due = self.pending and self.n_lines >= self.pending[0]
            if is_due and frame.f_lineno not in with_lines(frame.f_code.co_filename):
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


def interrupt(nets, *lines):
    """Interrupt one run before these lines, and check what is left. Returns how many lines it had."""
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
    assert torch.equal(torch.get_rng_state(), generators), where
    assert torch.backends.mha.get_fastpath_enabled(), where
    return injection.n_lines


N_PLACES = 1000


@pytest.mark.parametrize("part", range(4))
def test_an_interrupt_at_any_line_leaves_nothing_behind(part):
    nets = networks()  # all along, as each run also shows that the one before it is over
    n_lines = interrupt(nets)
    assert n_lines > N_PLACES
    step = n_lines / N_PLACES
    for k in range(part * N_PLACES // 4, (part + 1) * N_PLACES // 4):
        interrupt(nets, int(k * step) + 1)
    interrupt(nets)


def test_a_second_interrupt_during_the_first_ones_clean_up_waits():
    nets = networks()
    n_lines = interrupt(nets)
    for k in range(200):
        line = 1 + k * n_lines // 200
        interrupt(nets, line, line + 1 + k % 40)
    interrupt(nets)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python loses one in a finalizer
def test_two_real_interrupts_in_a_row():
    """As a thread sends them, at any time of a run and up to 30 ms apart."""
    running = False

    def handler(signum, frame):
        if running:
            raise KeyboardInterrupt

    draw = random.Random(0)
    n_interrupted = 0
    before = signal.signal(signal.SIGINT, handler)
    try:
        for _ in range(200):
            nets = networks()
            contents = {name: content(net) for name, net in nets.items()}
            comparison = sw.compare(nets, BATCHES * 4, gram_batch=16, device="cpu")
            delays = draw.uniform(0, 0.02), draw.uniform(0, 0.03)
            begin = Event()

            def send(delays=delays, begin=begin):
                begin.wait()
                for delay in delays:
                    Event().wait(delay)
                    os.kill(os.getpid(), signal.SIGINT)

            sender = Thread(target=send)
            sender.start()
            try:
                running = True
                begin.set()
                comparison.run(progress=False)
            except KeyboardInterrupt:
                n_interrupted += 1
            finally:
                running = False
            sender.join()
            assert signal.getsignal(signal.SIGINT) is handler
            assert comparison.state in (*ENDED, "ready")
            assert {name: content(net) for name, net in nets.items()} == contents
            assert sw.compare(nets, BATCHES, gram_batch=16, device="cpu").run(progress=False).n_samples == 48
    finally:
        signal.signal(signal.SIGINT, before)
    assert n_interrupted > 100


def interrupted(call):
    try:
        call()
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("held", [interrupts_held, nullcontext])
def test_an_interrupt_waits_for_the_end_of_what_is_held(held):
    reached = []

    def call():
        with held():
            signal.raise_signal(signal.SIGINT)
            reached.append("end")

    assert interrupted(call)
    assert reached == (["end"] if held is interrupts_held else [])


def test_an_interrupt_that_waited_is_raised_where_it_is_allowed():
    reached = []

    def call():
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            reached.append("held")
            with interrupts_allowed():
                reached.append("allowed")

    assert interrupted(call)
    assert reached == ["held"]


def test_what_is_held_within_what_is_allowed():
    reached = []

    def call():
        with interrupts_held(), interrupts_allowed():
            with interrupts_held():
                signal.raise_signal(signal.SIGINT)
                reached.append("held")
            reached.append("not here")

    assert interrupted(call)
    assert reached == ["held"]


def test_a_handler_of_the_users_own_that_raises_nothing_is_called():
    calls = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append("called"))
    try:
        with interrupts_held():
            with interrupts_allowed():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                assert len(calls) == 2
            signal.raise_signal(signal.SIGINT)
            assert len(calls) == 2
        assert len(calls) == 3
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_not_held():
    found = []

    def work():
        with interrupts_held(), interrupts_allowed():
            found.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGINT)]
