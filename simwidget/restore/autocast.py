"""Copies the autocast settings of one thread to another thread."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

import torch


def capture_autocast(devices: Sequence[torch.device]) -> Callable[[], AbstractContextManager]:
    """Return a function that gives another thread the autocast settings of the calling thread.

    The other thread calls the function, which returns a context manager, and computes inside the context. `devices`
    are the devices whose settings are copied.
    """
    kinds = {device.type for device in devices}
    found = [(kind, torch.get_autocast_dtype(kind)) for kind in sorted(kinds) if torch.is_autocast_enabled(kind)]

    def enter() -> AbstractContextManager:
        with ExitStack() as stack:
            for kind, dtype in found:
                stack.enter_context(torch.autocast(kind, dtype=dtype))
            return stack.pop_all()

    return enter
