"""The precision of simwidget's own matrix products, independent of the settings of the process.

Libraries enable TF32 or bfloat16 products for the whole process, and a model may run under autocast. Neither must
affect a Gram matrix, so the settings are changed around simwidget's own products only and restored at once.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Literal, get_args

import torch

from simwidget.gram.cpu import multiplies_bfloat16

Precision = Literal["highest", "high"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

UNSET = "none"
"""PyTorch's name for a device type that has no setting of its own."""
_ACCEPTED: dict[tuple[Precision, str], tuple[str, ...]] = {
    ("highest", "cuda"): ("ieee", UNSET),
    ("highest", "cpu"): ("ieee", UNSET),
    ("high", "cuda"): ("tf32",),
    ("high", "cpu"): ("bf16",),
}
"""By precision and device type, the settings that need no change; any other setting is changed to the first of
these."""
_NO_CHANGE = nullcontext()


BFLOAT16_MIN_SAMPLES = 256
"""With at least this many samples, bfloat16 products save more time than the conversion costs."""


def effective_precision(precision: Precision, device_type: str, n: int) -> Precision:
    """The precision for products of n samples: on a CPU, "high" becomes "highest" where it would be slower."""
    if device_type == "cpu" and not (n >= BFLOAT16_MIN_SAMPLES and multiplies_bfloat16()):
        return "highest"
    return precision


def matmul_precision(precision: Precision, device_type: str) -> AbstractContextManager:
    """Context manager: float32 products inside use this precision and no autocast; both are restored afterwards.

    "highest" is IEEE float32. "high" rounds the factors, to TF32 on CUDA and to bfloat16 on a CPU, and accumulates in
    float32. Other device types are not affected.

    PyTorch keeps these settings for the whole process, so other threads see the change. It is therefore made only
    around the products, and not at all where the setting already has this precision.

    >>> import torch
    >>> torch.set_float32_matmul_precision("high")
    >>> with matmul_precision("highest", "cpu"):
    ...     inside = matmul_setting("cpu")
    >>> inside, matmul_setting("cpu")
    ('ieee', 'tf32')
    >>> torch.set_float32_matmul_precision("highest")
    """
    before, accepted = matmul_setting(device_type), _ACCEPTED.get((precision, device_type), (UNSET,))
    setting = before if before in accepted else accepted[0]
    if setting == before and not torch.is_autocast_enabled(device_type):
        return _NO_CHANGE
    return _with_setting(device_type, before, setting)


@contextmanager
def _with_setting(device_type: str, before: str, setting: str) -> Iterator[None]:
    if setting != before:
        _set_matmul_setting(device_type, setting)
    try:
        with torch.autocast(device_type, enabled=False):
            yield
    finally:
        if setting != before:
            _set_matmul_setting(device_type, before)


def matmul_setting(device_type: str) -> str:
    """The process-wide setting of float32 products on a device type: "ieee", "none", "tf32" or "bf16"."""
    if device_type not in ("cuda", "cpu"):
        return UNSET
    backend = _backend(device_type)
    if backend is not None:
        return backend.fp32_precision
    return {"highest": "ieee", "high": "tf32", "medium": "bf16"}[torch.get_float32_matmul_precision()]


def _set_matmul_setting(device_type: str, setting: str) -> None:
    backend = _backend(device_type)
    if backend is not None:
        backend.fp32_precision = setting
    else:
        torch.set_float32_matmul_precision({"ieee": "highest", "tf32": "high", "bf16": "medium"}[setting])


@cache
def _backend(device_type: str) -> Any:
    """The object with the setting of one device type, or None in older PyTorch releases, which have one for all types.

    Newer releases raise an error when the older interface is used after the newer one.
    """
    backends: Any = torch.backends
    backend = getattr(backends.cuda if device_type == "cuda" else backends.mkldnn, "matmul", None)
    return backend if hasattr(backend, "fp32_precision") else None
