"""Transformer layers of torch that may run as one operation, without hooks of the modules inside."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def has_fused_layers(network: nn.Module) -> bool:
    """Whether the network has layers that torch may run as one operation, so that the hooks inside would not fire."""
    fused = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
    return any(isinstance(module, fused) for module in network.modules())


@contextmanager
def fused_layers_disabled() -> Iterator[None]:
    """Transformer layers of torch run their submodules instead of one operation; the switch is the whole process's."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
