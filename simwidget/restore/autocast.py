"""Copies the autocast settings of one thread to another thread."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

import torch


def capture_autocast(devices: Sequence[torch.device]) -> Callable[[], AbstractContextManager]:
    """Return a function that applies the current autocast settings of the calling thread in another thread.

    The other thread calls the function and computes inside the context manager that the function returns. `devices`
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
