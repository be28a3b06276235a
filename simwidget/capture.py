"""Forward hooks on one network, for the length of one run.

Each layer's output is handed on while it is fresh: nothing that a later layer writes in place can reach it, and no
activation outlives its hook.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from simwidget.layers import named_layers

Sink = Callable[[str, Any, bool], None]
"""Called as sink(call, output, repeats): `call` is the layer's name, with "#k" from its second call in one forward on;
`repeats` tells that the output is the very tensor of the call before, with nothing written into it since."""


class Capture(AbstractContextManager):
    """Hooks on the named modules of one network while the context is open.

    On entry the network is put into evaluation mode and onto `device`; on every way out the hooks are gone, and each
    submodule's mode and the network's device are as before. A network that is spread over several devices stays there.
    """

    def __init__(self, network: nn.Module, names: Sequence[str], device: torch.device, sink: Sink) -> None:
        self._network = network
        self._names = tuple(names)
        self._device = device
        self._sink = sink
        self._calls: Counter[str] = Counter()
        self._running = False
        self._previous: tuple[weakref.ref, int] | None = None
        self._undo = ExitStack()

    def __enter__(self) -> "Capture":
        with ExitStack() as undo:
            for module in self._network.modules():
                undo.callback(setattr, module, "training", module.training)
            self._network.eval()
            home = _only_device(self._network)
            if home is not None and home != self._device:
                undo.callback(self._network.to, home)
                self._network.to(self._device)
            modules = named_layers(self._network)
            for name in self._names:
                undo.callback(modules[name].register_forward_hook(self._hook(name)).remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._previous = None
        self._undo.close()

    def forward(self, inputs: Any) -> None:
        """One forward pass, during which the sink is called in execution order."""
        self._calls.clear()
        self._previous = None
        self._running = True
        try:
            with torch.no_grad(), _eagerly():
                # nn.Module.compile() replaces what calling the module runs; its hooks belong to the original
                self._network._call_impl(inputs)
        finally:
            self._running = False
            self._previous = None

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if not self._running:  # a module shared with another network, in that one's forward pass
                return
            count = self._calls[name]
            self._calls[name] += 1
            self._sink(f"{name}#{count}" if count else name, output, self._repeats(output))

        return hook

    def _repeats(self, output: Any) -> bool:
        """Whether the output is the tensor of the call before, unwritten since; remembers it without keeping it.

        The version counter that proves this exists under `no_grad`, not under `inference_mode`.
        """
        if not isinstance(output, Tensor) or output.is_inference():
            self._previous = None
            return False
        previous: tuple[weakref.ref, int] | None = self._previous
        self._previous = (weakref.ref(output), output._version)
        if previous is None:
            return False
        now = output._version
        return previous[0]() is output and previous[1] == now


def _only_device(network: nn.Module) -> torch.device | None:
    devices = {tensor.device for tensor in [*network.parameters(), *network.buffers()]}
    return devices.pop() if len(devices) == 1 else None


def _eagerly() -> AbstractContextManager:
    """Compiled submodules run their original code, whose hooks fire."""
    stance = getattr(torch.compiler, "set_stance", None)
    return stance("force_eager") if stance is not None else ExitStack()
