"""`start_in_background`: executes a run on a background thread."""

import atexit
import contextvars
import threading
from collections.abc import Callable, Iterable, Sequence

import torch

from simwidget.restore.autocast import capture_autocast
from simwidget.restore.openmp import release_workers

EXIT_WAITS = 30.0
"""The longest time, in seconds, that Python waits at its exit for a background run to complete its current batch."""


def start_in_background(
    batches: Iterable[None], title: str, devices: Sequence[torch.device], ask_to_stop: Callable[[], None]
) -> threading.Thread:
    """Iterate over `batches` on a new thread, and return this thread, already started.

    The new thread, named `title`, has the context variables of the calling thread and its autocast settings for
    `devices`. An exception ends the thread silently, so `batches` itself must record the exception. A thread that is
    still inside torch when Python exits would crash the process. Therefore Python calls `ask_to_stop` at its exit, and
    waits at most `EXIT_WAITS` seconds for the thread to end.
    """
    autocast = capture_autocast(devices)

    def work() -> None:
        try:
            with autocast():
                for _ in batches:
                    pass
        except BaseException:
            pass
        finally:
            atexit.unregister(leave)

    def leave() -> None:
        ask_to_stop()
        thread.join(EXIT_WAITS)

    release_workers()
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name=title, daemon=True)
    atexit.register(leave)
    try:
        thread.start()
    except BaseException:
        atexit.unregister(leave)
        raise
    return thread
