"""Full float32 precision for our own products, whatever the process is set to.

Libraries switch TF32 or bf16 products on for the whole process, and a model may run under autocast. Neither may reach
a Gram matrix: the settings are put to IEEE float32 around our products alone and put back at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision(device_type: str) -> Iterator[None]:
    """Run the products inside in IEEE float32, without autocast, and restore both afterwards.

    PyTorch keeps these settings for the whole process, so the switch is held only as long as the products take and is
    not touched where it already asks for full precision.

    >>> import torch
    >>> torch.set_float32_matmul_precision("high")
    >>> with full_precision("cpu"):
    ...     inside = matmul_settings()
    >>> inside, matmul_settings()
    (('ieee', 'ieee'), ('tf32', 'tf32'))
    >>> torch.set_float32_matmul_precision("highest")
    """
    before = matmul_settings()
    reduced = any(setting not in ("ieee", "none") for setting in before)
    if reduced:
        _set(("ieee",) * len(before))
    try:
        if torch.is_autocast_enabled(device_type):
            with torch.autocast(device_type, enabled=False):
                yield
        else:
            yield
    finally:
        if reduced:
            _set(before)


def matmul_settings() -> tuple[str, ...]:
    """The float32 product settings of this process, one for each backend: "ieee", "none", "tf32" or "bf16"."""
    if _has_backend_settings():
        return tuple(backend.fp32_precision for backend in _backends())
    return ({"highest": "ieee", "high": "tf32", "medium": "bf16"}[torch.get_float32_matmul_precision()],)


def _set(settings: tuple[str, ...]) -> None:
    if _has_backend_settings():
        for backend, setting in zip(_backends(), settings, strict=True):
            backend.fp32_precision = setting
    else:
        torch.set_float32_matmul_precision({"ieee": "highest", "tf32": "high", "bf16": "medium"}[settings[0]])


def _has_backend_settings() -> bool:
    """Newer releases of PyTorch have one setting a backend; mixing them with the older single one raises there."""
    return hasattr(torch.backends.cuda.matmul, "fp32_precision")


def _backends() -> tuple:
    return torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
