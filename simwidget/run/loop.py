"""`take_batches`: processes the loader's batches one by one, and handles pauses, requests to stop, and exceptions."""

from collections.abc import Generator
from contextlib import suppress

from simwidget.restore.interrupts import interrupts_allowed
from simwidget.run.held_runner import HeldRunner
from simwidget.run.lifecycle import Lifecycle
from simwidget.run.progress import RunState
from simwidget.run.runner import Runner


def take_batches(held: HeldRunner, lifecycle: Lifecycle) -> Generator[None]:
    """Return an iterator that processes one batch of the loader at each step.

    When the iterator ends, the lifecycle enters one of three states:
    - "finished" after the last batch, or when a limit is reached;
    - "stopped" after a request to stop, after a keyboard interrupt, or when the iterator is closed;
    - "failed" after any other exception.

    Exceptions and keyboard interrupts are raised again. On the main thread, use the iterator within `interrupts_held`.
    Interrupts (Ctrl-C) are then raised only while the loader is opened, while a batch is processed, or while the run is
    paused.
    """
    runner = held.runner
    assert runner is not None
    state: RunState = "failed"
    problem: BaseException | None = None
    try:
        with runner:
            while _may_go_on(runner, lifecycle) and _step(runner):
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
        with suppress(Exception):  # add the samples that are not in the sums yet, if that works
            runner.finish(for_good=False)
        raise
    finally:
        _end(held, lifecycle, state, problem)


def _step(runner: Runner) -> bool:
    with interrupts_allowed():
        return runner.step()


def _may_go_on(runner: Runner, lifecycle: Lifecycle) -> bool:
    """Return False at a limit. Otherwise wait while the run is paused, then return whether no stop is requested."""
    if runner.has_enough():
        return False
    while lifecycle.pause_asked:
        runner.save(now=True)
        runner.single_pass.drop_scratch()
        with interrupts_allowed():
            lifecycle.hold_while_paused()
    return not lifecycle.stop_asked


def _end(held: HeldRunner, lifecycle: Lifecycle, state: RunState, error: BaseException | None = None) -> None:
    """Store the numbers so far in `held`, drop the runner unless the run failed, and enter `state`."""
    runner = held.runner
    assert runner is not None
    runner.single_pass.inspector.release()
    runner.release()
    held.keep()
    if state != "failed":
        held.drop()
    lifecycle.enter(state, error)
