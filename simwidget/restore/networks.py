"""`RestoredNetwork`: puts a network into evaluation mode on a device, and restores the network afterwards."""

from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from simwidget.restore.copies import EvaluationMode

LARGE_BUFFER_BYTES = 2**24
"""A buffer with more bytes than this is a large buffer.

Writes into large buffers are reported, but these writes are undone only if the network was moved to another device.
"""


class RestoredNetwork(AbstractContextManager):
    """Context manager: puts a network into evaluation mode on `device`, and restores the network on exit.

    On exit, each module gets back the parameters and buffers that it had registered on entry. If a tensor was replaced,
    the original is put back in a single assignment, so that other threads never find a parameter or buffer missing.

    Whether writes into tensors are undone depends on the device:

    - If the network is moved to `device`, all writes are undone, because they do not reach the original tensors.
    - If the network is not moved, writes into buffers of up to `LARGE_BUFFER_BYTES` are undone, because these buffers
      are copied on entry. Writes into parameters and larger buffers are not undone.

    In both cases, `modified()` reports writes into parameters and larger buffers.

    Args:
        network: the network. If its tensors are on several devices, it is not moved.
        model: name of the network, for error messages.
        device: the device on which the network is to run.

    Raises:
        RuntimeError: the network cannot be moved to `device`. Before the error is raised, the network is restored.
    """

    def __init__(self, network: nn.Module, model: str, device: torch.device) -> None:
        self._network = network
        self._model = model
        self._device = device
        self._mode = EvaluationMode(network)
        self._undo = ExitStack()
        self._watched: list[tuple[str, Tensor, int | None]] = []

    def __enter__(self) -> "RestoredNetwork":
        with ExitStack() as undo:
            undo.enter_context(self._mode)
            current = single_device(self._network)
            if current is not None and current != self._device:
                self._move(undo)
            else:
                self._keep_buffers(undo)
                for module in self._network.modules():
                    undo.callback(_restore_registered, module, _Registered.of(module))
            tensors = [*self._network.named_parameters(), *self._network.named_buffers()]
            large = [(name, one) for name, one in tensors if isinstance(one, nn.Parameter) or _is_large(one)]
            self._watched = [(name, one, tensor_version(one)) for name, one in large]
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._watched = []
        self._undo.close()

    def modified(self) -> list[str]:
        """Return the names of parameters and large buffers that were written into since the context was entered.

        Writes are recognised by the tensors' version counters. Therefore writes through `.data` are not found.
        """
        return [name for name, one, before in self._watched if tensor_version(one) != before]

    def _move(self, undo: ExitStack) -> None:
        for module in self._network.modules():
            undo.callback(_restore_registered, module, _Registered.of(module))
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
                if buffer is not None and not _is_large(buffer) and (copied := _copied(buffer)) is not None:
                    undo.callback(_restore_buffer, buffer, copied)


class _Registered(NamedTuple):
    """The tensors that one module has registered."""

    parameters: dict[str, Any]
    buffers: dict[str, Any]
    non_persistent: set[str]
    """names of the buffers that `state_dict()` leaves out"""

    @staticmethod
    def of(module: nn.Module) -> "_Registered":
        return _Registered(
            dict(module._parameters.items()), dict(module._buffers.items()), set(module._non_persistent_buffers_set)
        )


def _restore_registered(module: nn.Module, before: _Registered) -> None:
    """Put back the parameters and buffers that a module had registered, as recorded in `before`.

    If a tensor was replaced, the original is put back in a single assignment, so that other threads never find a tensor
    missing.
    """
    _restore_slots(module, "_parameters", before.parameters)
    _restore_slots(module, "_buffers", before.buffers)
    if module._non_persistent_buffers_set != before.non_persistent:
        module._non_persistent_buffers_set = set(before.non_persistent)


def _restore_slots(module: nn.Module, attribute: str, before: dict[str, Any]) -> None:
    held = getattr(module, attribute)
    # entries cannot be removed from a ScriptModule
    if list(held.keys()) == list(before) or isinstance(module, torch.jit.ScriptModule):
        for name, tensor in before.items():
            if held[name] is not tensor:
                held[name] = tensor
    else:  # another dictionary, since another thread may be iterating over this one
        vars(module)[attribute] = type(held)(before)


def _restore_data(parameter: nn.Parameter, data: Tensor, grad: Tensor | None) -> None:
    """Set `data` and `grad` of a parameter to the given tensors, since moving a module may have replaced both."""
    parameter.data = data
    parameter.grad = grad


def _restore_buffer(buffer: Tensor, copy: Tensor) -> None:
    """Write the saved copy into a buffer if the content or the shape differs.

    The content is compared instead of the version counter, because writes through `.data`, writes through NumPy and
    writes in inference mode do not change the version counter.
    """
    if _is_equal(buffer, copy):
        return
    with torch.inference_mode() if buffer.is_inference() else torch.no_grad():
        try:
            if buffer.shape != copy.shape:  # the forward pass has changed it
                raise ValueError
            buffer.copy_(copy)
        except Exception:  # some layouts cannot be written into
            buffer.data = copy


def _is_equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same content; True if tensors of their kind cannot be compared."""
    try:
        if one.layout != torch.strided or other.layout != torch.strided:
            return one.shape == other.shape and torch.equal(one.to_dense(), other.to_dense())
        return torch.equal(one, other)
    except Exception:  # meta tensors and some dtypes
        return True


def _copied(buffer: Tensor) -> Tensor | None:
    """Return a copy of a buffer; None if tensors of its kind cannot be copied."""
    try:
        return buffer.detach().clone()
    except Exception:
        return None


def single_device(network: nn.Module) -> torch.device | None:
    """Return the device of a network's parameters and buffers.

    Return None if the network has neither parameters nor buffers, or if they are on several devices.
    """
    devices = {tensor.device for tensor in [*network.parameters(), *network.buffers()]}
    return devices.pop() if len(devices) == 1 else None


def tensor_version(tensor: Tensor | None) -> int | None:
    """Return PyTorch's version counter of a tensor, which in-place operations increase.

    Return None if `tensor` is None, or if it is an inference tensor, because inference tensors have no version counter.
    """
    return None if tensor is None or tensor.is_inference() else tensor._version


def _is_large(buffer: Tensor) -> bool:
    return buffer.numel() * buffer.element_size() > LARGE_BUFFER_BYTES
