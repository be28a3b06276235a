"""`start_in_background`: executes a run on a background thread."""

import atexit
import contextvars
import threading
from collections.abc import Callable, Iterable, Sequence

import torch

from simwidget.restore.autocast import capture_autocast
from simwidget.restore.openmp import release_workers

EXIT_WAITS = 30.0
"""How many seconds Python waits at most, when it exits, for a background run to complete its current batch."""


def start_in_background(
    batches: Iterable[None], title: str, devices: Sequence[torch.device], ask_to_stop: Callable[[], None]
) -> threading.Thread:
    """Start a new thread that iterates over `batches`, and return the thread.

    The thread is named `title`. It gets copies of the calling thread's context variables and of the calling thread's
    autocast settings for `devices`. An exception ends the thread silently, so `batches` itself must record the
    exception. If the thread were still inside torch when Python exits, the process would crash. Therefore, when Python
    exits, it first calls `ask_to_stop` and waits at most `EXIT_WAITS` seconds for the thread to end.
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
