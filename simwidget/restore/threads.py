"""Threads beside a run."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import torch

_PAUSE_SOFT = 1
"""OpenMP's omp_pause_soft: threads and memory go, settings stay."""


def use_one_core() -> None:
    """From now on what this thread computes is not spread over others; every other thread is as before.

    A second pool of workers beside the run's own slows the run far beyond the work that it does: with more threads than
    cores OpenMP's workers sleep between two parallel regions instead of waiting awake. On two cores a run that was
    watched took 1.4 times as long. Where torch's OpenMP cannot be found, nothing happens.
    """
    torch.get_num_threads()  # makes torch set this thread up, which would undo the limit later
    for library in _openmp():
        library.omp_set_num_threads(1)
        if torch.get_num_threads() == 1:
            return


def release_workers() -> None:
    """Before another thread computes: end the workers of this one, which gets new ones when it needs them.

    OpenMP counts them although they are idle, and with more threads than cores all workers sleep between two parallel
    regions: each then took 50 to 80 microseconds longer, a background run on two cores 1.2 times as long.
    """
    for library in _openmp():
        if hasattr(library, "omp_pause_resource_all"):
            library.omp_pause_resource_all(_PAUSE_SOFT)
            return


def _openmp() -> Iterator[ctypes.CDLL]:
    """Libraries that may be torch's OpenMP: what the process shows to all, then those beside torch's own.

    Walking through all loaded libraries would find it too, but calls back into Python with the loader's lock held:
    while another thread imports a module, both would wait for ever.
    """
    beside = sorted(path for path in (Path(torch.__file__).parent / "lib").glob("lib*omp*") if path.is_file())
    for name in (None, *map(str, beside)):
        try:
            library = ctypes.CDLL(name)
            library.omp_set_num_threads.argtypes = [ctypes.c_int]
        except (OSError, AttributeError, TypeError):  # another system's library, or one without it
            continue
        yield library


def capture_autocast(devices: Sequence[torch.device]) -> Callable[[], AbstractContextManager]:
    """The autocast of the present thread, to be entered on another one, which has its own."""
    kinds = {device.type for device in devices}
    found = [(kind, torch.get_autocast_dtype(kind)) for kind in sorted(kinds) if torch.is_autocast_enabled(kind)]

    def enter() -> AbstractContextManager:
        with ExitStack() as stack:
            for kind, dtype in found:
                stack.enter_context(torch.autocast(kind, dtype=dtype))
            return stack.pop_all()

    return enter
