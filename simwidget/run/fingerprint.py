"""Computes a hash of a network, and reads the settings of its modules.

A checkpoint contains the hash and the settings of each network. A resumed run computes the hash and the settings of its
own networks, and compares them with the checkpoint, to check that the networks are the same.
"""

import hashlib
import re

import torch
from torch import Tensor, nn

MAX_SETTINGS = 200
"""The largest number of characters in the text of a module's settings. A longer text is cut to this length, and a hash
of the whole text is appended."""


def fingerprint(network: nn.Module) -> str:
    """Return a hash of a network, as 32 hexadecimal digits.

    The hash depends on the names, dtypes, shapes and values of all parameters and buffers, and on the names and classes
    of all modules. The values of tensors whose memory cannot be read, such as sparse tensors, are left out.

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


def printed_settings(network: nn.Module) -> dict[str, str]:
    """Return a dict from module names to the settings that `extra_repr` returns.

    Modules with no settings are left out. The network itself has the name "the model itself".

    >>> printed_settings(nn.Sequential(nn.LeakyReLU(0.2), nn.Flatten()))
    {'0': 'negative_slope=0.2', '1': 'start_dim=1, end_dim=-1'}
    """
    texts = {name or "the model itself": _extra_repr(module) for name, module in network.named_modules()}
    return {name: text for name, text in texts.items() if text}


def _extra_repr(module: nn.Module) -> str:
    try:
        text = re.sub(r" at 0x[0-9a-fA-F]+", "", str(module.extra_repr()))
    except Exception:  # the user's code, which is called for nothing else
        return ""
    return text if len(text) <= MAX_SETTINGS else f"{text[:MAX_SETTINGS]}... #{hash_text(text)}"


def hash_text(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _content(tensor: Tensor) -> bytes:
    """Return the values of a tensor as bytes; return b"" if the memory cannot be read, as for sparse tensors."""
    try:
        return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    except (RuntimeError, TypeError, NotImplementedError):  # quantised, sparse, without memory
        return b""
