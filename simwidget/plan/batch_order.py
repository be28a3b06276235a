"""`settle_batch_dim`: finds out whether dimension 0 or dimension 1 of a batch holds the samples.

A recurrent, attention or Transformer module of torch with `batch_first=False` takes (steps, samples, features). A
network may pass its input to such a module unchanged, or may transpose the input first. Therefore the network is run up
to the first of these modules, and the input of this module is compared with the input of the network.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from simwidget.capture.batch_first import sequence_first_modules
from simwidget.capture.hooks import Capture
from simwidget.data.batch import Batch
from simwidget.data.labels import find_labels
from simwidget.data.nested import tensors_in
from simwidget.data.splitting import take_samples
from simwidget.plan.networks import Network
from simwidget.plan.out_of_memory import is_out_of_memory
from simwidget.restore.copies import mark_hook


class _Received(NamedTuple):
    """The first module with `batch_first=False` that runs, and the input of this module."""

    layer: str
    """the name of the module; "" for the network itself"""
    module: nn.Module
    tensor: Tensor
    """the first tensor among the arguments of the module: (steps, samples, ...)"""


class _ReceivedError(BaseException):
    """Raised to end a forward pass. The base class is `BaseException`, as a network might catch an `Exception`."""

    def __init__(self, received: _Received) -> None:
        super().__init__()
        self.received = received


def settle_batch_dim(network: Network, capture: Capture, batch: Batch, index: int) -> Batch:
    """Set `network.batch_dim` to the dimension of the input that holds the samples, if this dimension is unknown.

    It is unknown if `network.may_be_steps_first` is true: the network contains modules of torch with
    `batch_first=False`, and the user did not give `batch_dim=`. It stays unknown if the user's function `batch_size`
    counted the samples, if the input has only one dimension, or if the forward pass fails.

    The input of the network is (n_0, n_1, ...). The input of the first module with `batch_first=False` that runs is
    (steps, samples, ...). The first rule that applies gives the dimension:

    1. n_0 and n_1 differ, and the batch has class labels (n_0,) or (n_1,): the dimension with this number of entries.
    2. No module with `batch_first=False` runs: dimension 0.
    3. The module gets the input of the network, and n_1 > 1: dimension 1.
    4. `samples` equals n_1 but not n_0: the dimension is unclear, and ValueError is raised.
    5. `samples` equals n_1 and n_0, and n_0 > 1: the first half of dimension 0 is passed through the network. If
       `samples` becomes half as large, dimension 0. Otherwise the dimension is unclear, and ValueError is raised.
    6. Otherwise: dimension 0.

    Args:
        network: the network.
        capture: the network with its hooks; its context must be open.
        batch: the network's batch.
        index: the number of the batch in the loader, for messages.

    Returns:
        The batch, parsed with the dimension that was found.

    Raises:
        ValueError: it is unclear which dimension holds the samples.
    """
    inputs = batch.input_tensor
    if not network.may_be_steps_first or inputs is None or inputs.ndim < 2 or batch.n_is_told:
        return batch
    batch_dim = _dim_of_labels(batch, inputs)
    if batch_dim is None:
        try:
            received = _receive(network, capture, batch)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return batch  # the pass that reads the layers fails in the same way
        if received is None:
            batch_dim = 0
        elif inputs.shape[1] > 1 and _is_same(received.tensor, inputs):
            batch_dim = 1
        elif _is_unclear(network, capture, batch, inputs, received, index):
            raise ValueError(_message(network, inputs, received, index))
        else:
            batch_dim = 0
    network.batch_dim, network.may_be_steps_first = batch_dim, False
    return batch if batch_dim == 0 else network.parse(batch.raw, index)


def _dim_of_labels(batch: Batch, inputs: Tensor) -> int | None:
    """Return 0 or 1 if exactly one of these dimensions of the input has as many entries as labels; otherwise None."""
    n_0, n_1 = inputs.shape[:2]
    fits = [n for n in (n_0, n_1) if find_labels(batch.raw, n) is not None]
    return None if n_0 == n_1 or len(fits) != 1 else int(fits == [n_1])


def _is_unclear(
    network: Network, capture: Capture, batch: Batch, inputs: Tensor, received: _Received, index: int
) -> bool:
    """Whether it is unclear which dimension of the input holds the samples: rules 4 and 5 of `settle_batch_dim`."""
    n_0, n_1 = inputs.shape[:2]
    samples = received.tensor.shape[1]
    if samples != n_1 or n_0 != n_1 or n_0 < 2:
        return samples == n_1 != n_0
    try:
        part = network.parse(take_samples(batch.raw, batch, slice(0, n_0 // 2)), index)
        fewer = _receive(network, capture, part)
    except Exception:  # the batch cannot be split, or the network does not take fewer samples
        return True
    return fewer is None or fewer.tensor.shape[1] != part.n


def _message(network: Network, inputs: Tensor, received: _Received, index: int) -> str:
    kind, steps_first = type(received.module).__name__, tuple(received.tensor.shape)
    return (
        f"batch {index}: the input {tuple(inputs.shape)} of model {network.model!r} may be (samples, steps, ...) or "
        f"(steps, samples, ...): layer {received.layer!r} ({kind}, batch_first=False) gets {steps_first}, in which "
        f"dimension 0 holds the steps for torch. Give batch_dim=1 if dimension 1 of the input holds the samples, or "
        "batch_dim=0 if dimension 0 does"
    )


def _receive(network: Network, capture: Capture, batch: Batch) -> _Received | None:
    """Run the network up to the first module with `batch_first=False`, and return the input of this module.

    Return None if no such module gets a tensor with three or more dimensions.
    """
    modules, thread = sequence_first_modules(network.module), threading.get_ident()

    def hook_of(layer: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            first = next(tensors_in((args, kwargs)), None)
            if not isinstance(first, Tensor) or first.is_nested or first.ndim < 3:
                return
            if threading.get_ident() == thread:  # on another thread, the user's code runs the network
                raise _ReceivedError(_Received(layer, module, first))

        mark_hook(hook, capture)
        return hook

    handles = [
        module.register_forward_hook(hook_of(layer), with_kwargs=True, prepend=True)
        for layer, module in modules.items()
    ]
    try:
        capture.forward(batch, lambda call, output, inputs: None)
    except _ReceivedError as found:
        return found.received
    finally:
        for handle in handles:
            handle.remove()
        batch.uploads.clear()
    return None


def _is_same(received: Tensor, inputs: Tensor) -> bool:
    """Whether a module gets the input of the network unchanged, apart from its device and dtype."""
    return received.shape == inputs.shape and torch.equal(received, inputs.to(received.device, received.dtype))
