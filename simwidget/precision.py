"""The precision of our own products, whatever the process is set to.

Libraries switch TF32 or bf16 products on for the whole process, and a model may run under autocast. Neither may reach
a Gram matrix: the settings are those that were asked for around our own products alone, and are put back at once.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, get_args

import torch

from simwidget.processor import multiplies_bfloat16

Precision = Literal["highest", "high"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_WANTED: dict[Precision, tuple[frozenset[str], ...]] = {
    "highest": (frozenset(("ieee", "none")),) * 2,
    "high": (frozenset(("tf32",)), frozenset(("bf16",))),
}
"""For CUDA and for the CPU, the settings that are left as they are; others become the first of these, sorted."""
_AS_IT_IS = nullcontext()


BFLOAT16_SAMPLES = 256
"""From so many samples on, products of bfloat16 save more than the conversion costs."""


def worthwhile(precision: Precision, device_type: str, n: int) -> Precision:
    """The precision in which products of n samples are made: on a CPU, "high" only where that is the faster one."""
    if device_type == "cpu" and not (n >= BFLOAT16_SAMPLES and multiplies_bfloat16()):
        return "highest"
    return precision


def products_in(precision: Precision, device_type: str) -> AbstractContextManager:
    """Run the float32 products inside at a precision, without autocast, and restore both afterwards.

    "highest" is IEEE float32. "high" rounds the factors, to TF32 on CUDA and to bfloat16 on a CPU, and adds up in
    float32.

    PyTorch keeps these settings for the whole process, so the switch is held only as long as the products take and is
    not touched where it already asks for what is wanted.

    >>> import torch
    >>> torch.set_float32_matmul_precision("high")
    >>> with products_in("highest", "cpu"):
    ...     inside = matmul_settings()
    >>> inside, matmul_settings()
    (('ieee', 'ieee'), ('tf32', 'tf32'))
    >>> torch.set_float32_matmul_precision("highest")
    """
    before = matmul_settings()
    fits = all(setting in fine for setting, fine in zip(before, _WANTED[precision], strict=False))
    if fits and not torch.is_autocast_enabled(device_type):
        return _AS_IT_IS
    return _switched(device_type, before, tuple(min(fine) for fine in _WANTED[precision]) if not fits else None)


@contextmanager
def _switched(device_type: str, before: tuple[str, ...], wanted: tuple[str, ...] | None) -> Iterator[None]:
    if wanted is not None:
        _set(wanted)
    try:
        with torch.autocast(device_type, enabled=False):
            yield
    finally:
        if wanted is not None:
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
