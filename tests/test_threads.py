"""A display's thread takes one core, and nobody else's cores."""

import threading

import torch

import simwidget as sw
from simwidget.threads import use_one_core


def on_a_thread(*deeds):
    told = []
    thread = threading.Thread(target=lambda: told.extend(deed() for deed in deeds))
    thread.start()
    thread.join()
    return told


def test_only_this_thread_takes_one_core():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert on_a_thread(use_one_core, torch.get_num_threads) == [None, 1]
        assert torch.get_num_threads() == 3
        assert on_a_thread(torch.get_num_threads) == [3]
    finally:
        torch.set_num_threads(before)


def test_a_comparison_does_so_for_its_displays():
    models, loader, _ = sw.demo.load()
    comparison = sw.compare(models, loader, layers=["stage?"], device="cpu")
    assert on_a_thread(comparison.attend, torch.get_num_threads)[1] == 1
