"""Forward hooks on one network, for the length of one run.

Each layer's output is handed on while it is fresh: nothing that a later layer writes in place can reach it, and no
activation outlives its hook.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn

from simwidget.capture.calling import Caller
from simwidget.capture.layers import named_layers
from simwidget.data.batch import Batch
from simwidget.restore.fused_layers import fused_layers_disabled, has_fused_layers
from simwidget.restore.networks import RestoredNetwork
from simwidget.restore.randomness import OwnRandomStream
from simwidget.text.errors import add_place

Sink = Callable[[str, Any, Any], None]
"""Called as sink(call, output, inputs): `call` is the layer's name, with "#k" from its second call in a forward on."""


class Capture(AbstractContextManager):
    """Hooks on the named modules of one network while the context is open.

    On entry the network is put into evaluation mode and onto `device`; on every way out the hooks are gone and the
    network is as it was. A network that is spread over several devices stays there. The random numbers that it
    draws are those of `random`, if given. Captures of one `run` may share modules; another run's are refused.
    """

    def __init__(
        self,
        network: nn.Module,
        model: str,
        names: Sequence[str],
        device: torch.device,
        caller: Caller,
        sink: Sink,
        owner: object = None,
        random: OwnRandomStream | None = None,
    ) -> None:
        self._owner = owner
        self._network = network
        self._model = model
        self._names = tuple(names)
        self._device = device
        self._caller = caller
        self._sink = sink
        self._calls: Counter[str] = Counter()
        self._forward_thread: int | None = None
        """the thread of the forward pass that is under way"""
        self._fused = has_fused_layers(network)
        self._random = random
        self._latest_call = ""
        self._restored = RestoredNetwork(network, model, device)
        self._undo = ExitStack()

    def __enter__(self) -> "Capture":
        for module in self._network.modules() if self._owner is not None else ():
            if any(getattr(hook, "owner", self._owner) is not self._owner for hook in module._forward_hooks.values()):
                raise RuntimeError(
                    f"model {self._model!r} is under way in another comparison: wait for that one (`wait()`), stop it, "
                    "or compare a copy of the model"
                )
        with ExitStack() as undo:
            undo.enter_context(self._restored)
            modules = named_layers(self._network)
            for name in self._names:
                undo.callback(modules[name].register_forward_hook(self._hook(name)).remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._undo.close()

    def forward(self, batch: Batch) -> None:
        """One forward pass, during which the sink is called in execution order."""
        self._calls.clear()
        self._latest_call = ""
        self._forward_thread = threading.get_ident()
        try:
            with torch.no_grad(), fused_layers_disabled() if self._fused else ExitStack(), _without_compilation():
                self._run(batch)
        except Exception as error:
            after = f" after layer {self._latest_call!r}" if self._latest_call else ""
            add_place(error, f"in the forward pass of model {self._model!r}{after}")
            raise
        finally:
            self._forward_thread = None

    def _run(self, batch: Batch) -> None:
        # nn.Module.compile() replaces what calling the module runs; its hooks belong to the original
        forward = partial(self._caller, self._network._call_impl, batch, self._device)
        if self._random is None:
            forward()
        else:
            self._random.run(forward)

    @property
    def any_layer_ran(self) -> bool:
        """Whether any of the named modules ran in the latest forward pass."""
        return bool(self._calls)

    def modified(self) -> list[str]:
        """Parameters that the network's own forward pass wrote into."""
        return self._restored.modified()

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            # not this network's pass, but that of another one which shares the module, or of somebody else's
            if self._forward_thread != threading.get_ident():
                return
            count = self._calls[name]
            self._calls[name] += 1
            call = self._latest_call = f"{name}#{count}" if count else name
            self._sink(call, output, args)

        if self._owner is not None:
            hook.owner = self._owner  # type: ignore[attr-defined]
        return hook


def _without_compilation() -> AbstractContextManager:
    """Compiled submodules run their original code, whose hooks fire."""
    # as long as nobody has compiled anything, the compiler is not even imported, which takes a second
    if not hasattr(torch.compiler, "set_stance") or "torch._dynamo" not in sys.modules:
        return ExitStack()
    return torch.compiler.set_stance("force_eager")
