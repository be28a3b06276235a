"""A network in evaluation mode on a device, and afterwards as it was."""

from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch import Tensor, nn

LARGE_BUFFER_BYTES = 2**24
"""Bytes from which on a buffer is watched instead of copied."""


class RestoredNetwork(AbstractContextManager):
    """A network in evaluation mode on a device; on every way out it is as it was, to the bit.

    Modes are set on each submodule, so that no `train` or `eval` of the network's own runs: some merge weights there.
    What moves to another device is put back as the very tensors that it was. Buffers that the forward pass writes into
    are written back. Parameters are not copied: `modified()` names those that the network itself changed.
    """

    def __init__(self, network: nn.Module, model: str, device: torch.device) -> None:
        self._network = network
        self._model = model
        self._device = device
        self._undo = ExitStack()
        self._watched: list[tuple[str, Tensor, int | None]] = []

    def __enter__(self) -> "RestoredNetwork":
        with ExitStack() as undo:
            for module in self._network.modules():
                undo.callback(setattr, module, "training", module.training)
                module.training = False
            current = single_device(self._network)
            if current is not None and current != self._device:
                self._move(undo)
            else:
                self._keep_buffers(undo)
                for module in self._network.modules():
                    undo.callback(_restore_slots, module, *_slots(module))
            tensors = [*self._network.named_parameters(), *self._network.named_buffers()]
            large = [(name, one) for name, one in tensors if isinstance(one, nn.Parameter) or _is_large(one)]
            self._watched = [(name, one, tensor_version(one)) for name, one in large]
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._watched = []
        self._undo.close()

    def modified(self) -> list[str]:
        """Parameters, and very large buffers, that were written into since the start."""
        return [name for name, one, before in self._watched if tensor_version(one) != before]

    def _move(self, undo: ExitStack) -> None:
        for module in self._network.modules():
            undo.callback(_restore_slots, module, *_slots(module))
        for parameter in self._network.parameters():
            undo.callback(_restore_data, parameter, parameter.data, parameter.grad)
        try:
            self._network.to(self._device)
        except Exception as problem:
            raise RuntimeError(
                f"model {self._model!r} cannot be moved to {self._device} ({problem}): give device= where it can run"
            ) from problem

    def _keep_buffers(self, undo: ExitStack) -> None:
        for module in self._network.modules():
            for buffer in module._buffers.values():
                if buffer is not None and not _is_large(buffer):
                    undo.callback(_restore_content, buffer, buffer.detach().clone())


def _slots(module: nn.Module) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    return dict(module._parameters), dict(module._buffers), set(module._non_persistent_buffers_set)


def _restore_slots(
    module: nn.Module, parameters: dict[str, Any], buffers: dict[str, Any], non_persistent: set[str]
) -> None:
    """The very tensors, in their order; what the forward pass registered is gone."""
    fixed = isinstance(module, torch.jit.ScriptModule)  # its slots cannot be emptied
    for held, before in ((module._parameters, parameters), (module._buffers, buffers)):
        if not fixed:
            held.clear()
        for name, one in before.items():
            held[name] = one
    if not fixed:
        module._non_persistent_buffers_set.clear()
        module._non_persistent_buffers_set.update(non_persistent)


def _restore_data(parameter: nn.Parameter, data: Tensor, grad: Tensor | None) -> None:
    parameter.data = data
    parameter.grad = grad


def _restore_content(buffer: Tensor, copy: Tensor) -> None:
    """By content: what is written by way of `.data`, NumPy or in inference mode does not count as a version."""
    if not torch.equal(buffer, copy):
        with torch.inference_mode() if buffer.is_inference() else torch.no_grad():
            buffer.copy_(copy)


def single_device(network: nn.Module) -> torch.device | None:
    """The device that holds all of a network; None where there is none, or more than one."""
    devices = {tensor.device for tensor in [*network.parameters(), *network.buffers()]}
    return devices.pop() if len(devices) == 1 else None


def tensor_version(tensor: Tensor | None) -> int | None:
    """How often a tensor was written into; inference tensors do not count it."""
    return None if tensor is None or tensor.is_inference() else tensor._version


def _is_large(buffer: Tensor) -> bool:
    return buffer.numel() * buffer.element_size() > LARGE_BUFFER_BYTES
