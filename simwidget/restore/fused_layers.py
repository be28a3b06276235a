"""Disables torch's fast path for transformer layers, a fused operation that skips forward hooks on submodules."""

from contextlib import AbstractContextManager

import torch
from torch import nn

from simwidget.restore.shared_setting import SharedSetting


def has_fused_layers(network: nn.Module) -> bool:
    """Whether the network has layers that torch may run as one fused operation, without calling their submodules."""
    fused = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
    return any(isinstance(module, fused) for module in network.modules())


def _disable() -> bool:
    before: bool = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    return before


_setting = SharedSetting(_disable, torch.backends.mha.set_fastpath_enabled)


def fused_layers_disabled() -> AbstractContextManager[None]:
    """Context manager in which torch's transformer layers call their submodules, so that hooks on submodules run.

    The setting applies to the whole process. Its earlier value is restored when no thread is in this context any more.
    """
    return _setting.changed()
