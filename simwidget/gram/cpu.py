"""Properties of the CPU that decide which way of multiplying matrices is fastest."""

import platform
from functools import cache
from pathlib import Path


@cache
def is_from_intel() -> bool:
    """Whether the CPU is made by Intel. On other CPUs, MKL computes some matrix products on a single thread."""
    return "GenuineIntel" in (_cpu_info() or platform.processor())


@cache
def multiplies_bfloat16() -> bool:
    """Whether the CPU has units for bfloat16 products (AMX).

    On a CPU without these units, bfloat16 products are slower than float32 products. On systems without /proc/cpuinfo
    the result is False.
    """
    return "amx_bf16" in _cpu_info()


def _cpu_info() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""
