"""What the CPU is, where that decides how it multiplies fastest."""

import platform
from functools import cache
from pathlib import Path


@cache
def is_from_intel() -> bool:
    """Whether MKL takes the CPU for one of Intel's, for which it splits products that it leaves whole on others."""
    return "GenuineIntel" in (_cpu_info() or platform.processor())


@cache
def multiplies_bfloat16() -> bool:
    """Whether it has units for products of bfloat16; without them the conversion costs more than it saves."""
    return "amx_bf16" in _cpu_info()


def _cpu_info() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""
