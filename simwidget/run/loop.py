"""The loop of a run: one batch of the loader after the other, with its pauses and its ends."""

from collections.abc import Iterator
from contextlib import suppress

from simwidget.run.held_runner import HeldRunner
from simwidget.run.lifecycle import Lifecycle
from simwidget.run.progress import RunState
from simwidget.run.runner import Runner


def take_batches(held: HeldRunner, lifecycle: Lifecycle) -> Iterator[None]:
    """Take the loader's batches through the runner, one at each step of the iterator.

    Whichever way the iterator ends, by an exception or by being closed too, the lifecycle has the right state then.
    """
    runner = held.runner
    assert runner is not None
    state: RunState = "failed"
    problem: BaseException | None = None
    try:
        with runner:
            while _may_go_on(runner, lifecycle) and runner.step():
                runner.save()
                lifecycle.notify()
                yield
            runner.finish(for_good=not lifecycle.stop_asked)
        state = "stopped" if lifecycle.stop_asked else "finished"
    except (KeyboardInterrupt, GeneratorExit):
        state = "stopped"
        runner.finish(for_good=False)
        raise
    except BaseException as error:
        problem = error
        runner.locate(error)
        with suppress(Exception):  # the samples still waiting to be joined count as well
            runner.finish(for_good=False)
        raise
    finally:
        _end(held, lifecycle, state, problem)


def _may_go_on(runner: Runner, lifecycle: Lifecycle) -> bool:
    """Hold while paused; whether the run takes another batch."""
    if runner.has_enough():
        return False
    while lifecycle.pause_asked:
        runner.save(now=True)
        runner.single_pass.drop_scratch()
        lifecycle.hold_while_paused()
    return not lifecycle.stop_asked


def _end(held: HeldRunner, lifecycle: Lifecycle, state: RunState, error: BaseException | None = None) -> None:
    """Keep the numbers, and drop the runner unless the run may go on."""
    runner = held.runner
    assert runner is not None
    runner.single_pass.inspector.release()
    held.keep()
    if state != "failed":
        held.drop()
    lifecycle.enter(state, error)
