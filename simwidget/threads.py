"""Threads beside a run."""

import torch
from threadpoolctl import ThreadpoolController


def use_one_core() -> None:
    """From now on what this thread computes is not spread over others; every other thread is as before.

    A second pool of workers beside the run's own slows the run far beyond the work that it does: with more threads than
    cores OpenMP's workers sleep between two parallel regions instead of waiting awake. On two cores a run that was
    watched took 1.4 times as long.
    """
    torch.get_num_threads()  # makes torch set this thread up, which would undo the limit later
    ThreadpoolController().limit(limits=1, user_api="openmp")
