"""The precision of our own products, whatever the process is set to.

Libraries switch TF32 or bf16 products on for the whole process, and a model may run under autocast. Neither may reach
a Gram matrix: the settings are those that were asked for around our own products alone, and are put back at once.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Literal, get_args

import torch

from simwidget.gram.processor import multiplies_bfloat16

Precision = Literal["highest", "high"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

UNSET = "none"
_ACCEPTED: dict[tuple[Precision, str], tuple[str, ...]] = {
    ("highest", "cuda"): ("ieee", UNSET),
    ("highest", "cpu"): ("ieee", UNSET),
    ("high", "cuda"): ("tf32",),
    ("high", "cpu"): ("bf16",),
}
"""By type of device the settings that are left as they are; others become the first of these."""
_NO_CHANGE = nullcontext()


BFLOAT16_MIN_SAMPLES = 256
"""From so many samples on, products of bfloat16 save more than the conversion costs."""


def effective_precision(precision: Precision, device_type: str, n: int) -> Precision:
    """The precision in which products of n samples are made: on a CPU, "high" only where that is the faster one."""
    if device_type == "cpu" and not (n >= BFLOAT16_MIN_SAMPLES and multiplies_bfloat16()):
        return "highest"
    return precision


def matmul_precision(precision: Precision, device_type: str) -> AbstractContextManager:
    """Run the float32 products inside at a precision, without autocast, and restore both afterwards.

    "highest" is IEEE float32. "high" rounds the factors, to TF32 on CUDA and to bfloat16 on a CPU, and adds up in
    float32.

    PyTorch keeps these settings for the whole process, so the switch is held only as long as the products take and is
    not touched where it already asks for what is wanted.

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
    """What the process asks of float32 products there: "ieee", "none", "tf32" or "bf16"."""
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
    """What holds the setting of a type of device, in newer releases of PyTorch: older ones have one for all of them.

    Those who mix the two get an error there.
    """
    backends: Any = torch.backends
    backend = getattr(backends.cuda if device_type == "cuda" else backends.mkldnn, "matmul", None)
    return backend if hasattr(backend, "fp32_precision") else None
