"""The states of a run and the requests to pause and to stop it."""

import threading

import pytest
import torch
from torch import nn

import simwidget as sw
from simwidget.run.lifecycle import FOLLOWS, Lifecycle

WITHIN = 20


def test_every_state_has_its_successors_and_the_ends_have_none_but_a_failure():
    assert set(FOLLOWS) == {"ready", "running", "paused", "stopped", "finished", "failed"}
    assert set().union(*FOLLOWS.values()) <= set(FOLLOWS)
    assert [state for state, next_ones in FOLLOWS.items() if not next_ones] == ["stopped", "finished"]


def test_a_step_that_the_table_does_not_have_is_refused():
    lifecycle = Lifecycle()
    with pytest.raises(RuntimeError, match="a run that is ready cannot become finished"):
        lifecycle.enter("finished")
    assert lifecycle.state == "ready"


def test_a_stop_before_the_start_is_immediate_and_final():
    lifecycle = Lifecycle()
    assert lifecycle.stop()
    assert lifecycle.state == "stopped"
    with pytest.raises(RuntimeError, match="this comparison is stopped"):
        lifecycle.begin()


def test_a_stop_of_a_run_under_way_is_a_request():
    lifecycle = Lifecycle()
    lifecycle.begin()
    assert not lifecycle.stop()
    assert (lifecycle.state, lifecycle.stop_asked) == ("running", True)


def test_a_stop_ends_a_pause():
    lifecycle = Lifecycle()
    lifecycle.begin()
    lifecycle.pause(True)
    holding = threading.Thread(target=lifecycle.hold_while_paused)
    holding.start()
    assert lifecycle.wait_for(lambda: lifecycle.state == "paused", WITHIN)
    lifecycle.stop()
    holding.join(WITHIN)
    assert not holding.is_alive()
    assert not lifecycle.pause_asked


def test_watchers_hear_each_change_until_they_leave_and_their_errors_are_warnings():
    lifecycle, heard = Lifecycle(), []
    leave = lifecycle.watch(lambda: heard.append(lifecycle.state))
    lifecycle.watch(lambda: 1 / 0)
    with pytest.warns(UserWarning, match="a display of this run failed: ZeroDivisionError"):
        lifecycle.begin()
    leave()
    with pytest.warns(UserWarning, match="ZeroDivisionError"):
        lifecycle.enter("failed", ValueError("no more"))
    assert heard == ["running"]
    assert str(lifecycle.error) == "no more"


class Failing(nn.Linear):
    """Fails in its second batch, once, and asks for a pause while it does."""

    comparison: sw.Comparison
    n = 0

    def forward(self, x):
        Failing.n += 1
        if Failing.n == 2:
            Failing.comparison.pause()
            raise ValueError("this once")
        return super().forward(x)


@pytest.mark.parametrize("again", ["run", "resume"])
def test_a_pause_that_a_failed_run_was_asked_for_does_not_hold_the_next_one(again):
    Failing.n = 0
    net = nn.Sequential(Failing(6, 5), nn.ReLU())
    comparison = Failing.comparison = sw.compare({"net": net}, [torch.randn(64, 6) for _ in range(4)], device="cpu")
    with pytest.raises(ValueError, match="this once"):
        comparison.run(progress=False)
    assert (comparison.state, comparison.n_batches) == ("failed", 1)
    if again == "resume":
        comparison.resume()
    else:
        running = threading.Thread(target=comparison.run, kwargs={"progress": False}, daemon=True)
        running.start()
        running.join(WITHIN)
    try:
        assert comparison.wait_for_state("finished", WITHIN)
    finally:
        comparison.stop()
    assert comparison.result.n_batches == 4
