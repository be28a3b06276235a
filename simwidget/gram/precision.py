"""The precision of simwidget's own matrix products, independent of the settings of the process.

Libraries enable TF32 or bfloat16 products for the whole process, and a model may run under autocast. Gram matrices must
not depend on these settings. Therefore simwidget changes the settings just before its own products, and restores them
just after.
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
"""PyTorch's name for a precision setting that is not set."""
_ACCEPTED: dict[tuple[Precision, str], tuple[str, ...]] = {
    ("highest", "cuda"): ("ieee", UNSET),
    ("highest", "cpu"): ("ieee", UNSET),
    ("high", "cuda"): ("tf32",),
    ("high", "cpu"): ("bf16",),
}
"""For each precision and device type, the values of PyTorch's setting that give products this precision. Before a
product, any other value is changed to the first value listed."""
_NO_CHANGE = nullcontext()


BFLOAT16_MIN_SAMPLES = 256
"""With at least this many samples, bfloat16 products save more time than the conversion to bfloat16 costs."""


def effective_precision(precision: Precision, device_type: str, n: int) -> Precision:
    """Return the precision to use for products of n samples: `precision`, or "highest" if "high" would be slower.

    "high" is slower on a CPU without bfloat16 units, and on any CPU for n < `BFLOAT16_MIN_SAMPLES`.
    """
    if device_type == "cpu" and not (n >= BFLOAT16_MIN_SAMPLES and multiplies_bfloat16()):
        return "highest"
    return precision


def matmul_precision(precision: Precision, device_type: str) -> AbstractContextManager:
    """Return a context manager that sets the precision of float32 products and turns autocast off.

    At the end of the `with` block, both settings are restored. "highest" is IEEE float32. "high" rounds the factors to
    TF32 on CUDA and to bfloat16 on a CPU, and accumulates in float32. On other device types, autocast is turned off,
    but the precision is not changed.

    PyTorch has one precision setting for the whole process, so other threads see a change of the setting. Therefore put
    only products into the `with` block. If the setting already gives this precision, it is not changed.

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
    try:
        if setting != before:
            _set_matmul_setting(device_type, setting)
        with torch.autocast(device_type, enabled=False):
            yield
    finally:
        if setting != before:
            _set_matmul_setting(device_type, before)


def matmul_setting(device_type: str) -> str:
    """Return PyTorch's process-wide precision setting for float32 products on a device type.

    The result is "ieee", "tf32" or "bf16", or "none" if no precision is set. For device types other than CUDA and CPU,
    the result is always "none".
    """
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
    """Return the object whose attribute `fp32_precision` is the precision setting of a device type.

    The result is None in older PyTorch releases, which have no such attribute. These releases have one setting for all
    device types, set by `torch.set_float32_matmul_precision`. Newer releases raise an error if that function is called
    after `fp32_precision` was set.
    """
    backends: Any = torch.backends
    backend = getattr(backends.cuda if device_type == "cuda" else backends.mkldnn, "matmul", None)
    return backend if hasattr(backend, "fp32_precision") else None
