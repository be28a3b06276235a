"""Torch's fast path for transformer layers, which runs them as one fused operation and skips hooks on submodules."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def has_fused_layers(network: nn.Module) -> bool:
    """Whether the network has layers that torch may run as one operation, skipping hooks on their submodules."""
    fused = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
    return any(isinstance(module, fused) for module in network.modules())


@contextmanager
def fused_layers_disabled() -> Iterator[None]:
    """A context, for the whole process, in which torch's transformer layers call their submodules."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
