"""Recognises errors that mean that memory ran out, and advises the user what to change."""

from collections.abc import Mapping
from typing import Any

import torch

OUT_OF_MEMORY_TEXTS = (
    "DefaultCPUAllocator: can't allocate memory",  # Linux, macOS
    "DefaultCPUAllocator: not enough memory",  # Windows
    "std::bad_alloc",  # an allocation by an operation itself, such as for sparse tensors
    "MPS backend out of memory",
)
"""Texts in the message of a RuntimeError that mean that memory ran out.

PyTorch has an exception class for this only on some devices.
"""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device.

    >>> is_out_of_memory(torch.OutOfMemoryError()), is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError())
    (True, True, False)
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)


def out_of_memory_advice(n: int, options: Mapping[str, Any]) -> str:
    """Return a text that tells the user what to change after a forward pass of n samples ran out of memory.

    `options` are the options of `compare` by name.
    """
    unbiased = options.get("unbiased") and options.get("average") == "hsic"
    halves = f"batches of {n // 2} samples" if n > 1 else "a smaller input"
    joined = " (gram_batch= joins them again)" if n > 1 else ""
    automatic = ", auto_batch=True, which halves batches until they fit" if unbiased and n > 1 else ""
    return (
        f"{n} samples at once did not fit into memory: give {halves}{joined}{automatic}, or fewer layers with layers="
    )
