"""Disables torch's fast path for transformer layers, a fused operation that skips forward hooks on submodules."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def has_fused_layers(network: nn.Module) -> bool:
    """Whether the network has layers that torch may run as one fused operation, without calling their submodules."""
    fused = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
    return any(isinstance(module, fused) for module in network.modules())


@contextmanager
def fused_layers_disabled() -> Iterator[None]:
    """Context manager: torch's transformer layers call their submodules, so that forward hooks on submodules run.

    The setting applies to the whole process; its earlier value is restored on exit.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
