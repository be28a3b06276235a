"""A hash of a network: equal for networks of the same modules with the same weights."""

import hashlib

import torch
from torch import Tensor, nn


def fingerprint(network: nn.Module) -> str:
    """A hash of the names, shapes and values of all parameters and buffers, and of the modules' classes.

    >>> _ = torch.manual_seed(0)
    >>> net = nn.Linear(3, 2)
    >>> before = fingerprint(net)
    >>> _ = nn.init.zeros_(net.bias)
    >>> before == fingerprint(net)
    False
    """
    found = hashlib.blake2b(digest_size=16)
    for name, module in network.named_modules():
        found.update(f"{name}:{type(module).__qualname__};".encode())
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        found.update(_content(tensor.detach()))
    return found.hexdigest()


def _content(tensor: Tensor) -> bytes:
    """The bytes of a tensor's values; empty for a tensor whose memory cannot be read."""
    try:
        return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    except (RuntimeError, TypeError, NotImplementedError):  # quantised, sparse, without memory
        return b""
