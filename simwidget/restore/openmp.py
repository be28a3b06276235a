"""Limits or ends torch's OpenMP workers in threads other than the run's thread.

The run becomes slower if the total number of workers, over all threads, exceeds the number of cores.
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import torch

_OMP_PAUSE_SOFT = 1
"""OpenMP's constant omp_pause_soft: release threads and memory, but keep the settings."""


def use_one_core() -> None:
    """Let torch compute on one core in the calling thread; other threads keep their number of cores.

    Call this on a thread that computes for a display while a run computes on another thread. A second pool of OpenMP
    workers would slow the run, because with more threads than cores OpenMP's workers sleep between two parallel regions
    instead of spinning. On two cores, a run with an open display took 1.4 times as long without this limit. If torch's
    OpenMP library cannot be found, the function does nothing.
    """
    torch.get_num_threads()  # initialises torch's threading here; done later, that would undo the limit
    for library in _openmp():
        library.omp_set_num_threads(1)
        if torch.get_num_threads() == 1:
            return


def release_workers() -> None:
    """End the OpenMP workers of the calling thread; OpenMP creates new workers when this thread needs them again.

    Call this before another thread starts to compute. OpenMP counts idle workers as threads, and with more threads than
    cores all workers sleep between two parallel regions. Without this call, each parallel region took 50 to 80
    microseconds longer, and a background run on two cores took 1.2 times as long.
    """
    for library in _openmp():
        if hasattr(library, "omp_pause_resource_all"):
            library.omp_pause_resource_all(_OMP_PAUSE_SOFT)
            return


def _openmp() -> Iterator[ctypes.CDLL]:
    """Yield candidates for torch's OpenMP library: the process's global symbols, then the libraries in torch's folder.

    An iteration over all loaded libraries is not used, because it calls back into Python while it holds the dynamic
    loader's lock. If another thread imports a module at that time, the two threads deadlock.
    """
    beside = sorted(path for path in (Path(torch.__file__).parent / "lib").glob("lib*omp*") if path.is_file())
    for name in (None, *map(str, beside)):
        try:
            library = ctypes.CDLL(name)
            library.omp_set_num_threads.argtypes = [ctypes.c_int]
        except (OSError, AttributeError, TypeError):  # for another system, or without these functions
            continue
        yield library
