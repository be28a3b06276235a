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

from simwidget.capture.calling import Calling
from simwidget.capture.layers import named_layers
from simwidget.data.batch import Batch
from simwidget.restore.networks import Borrowed, children_run, has_fused_layers
from simwidget.restore.randomness import PrivateRandom
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
        calling: Calling,
        sink: Sink,
        run: object = None,
        random: PrivateRandom | None = None,
    ) -> None:
        self._run_of = run
        self._network = network
        self._model = model
        self._names = tuple(names)
        self._device = device
        self._calling = calling
        self._sink = sink
        self._calls: Counter[str] = Counter()
        self._running: int | None = None
        """the thread of the forward pass that is under way"""
        self._fused = has_fused_layers(network)
        self._random = random
        self._latest = ""
        self._borrowed = Borrowed(network, model, device)
        self._undo = ExitStack()

    def __enter__(self) -> "Capture":
        for module in self._network.modules() if self._run_of is not None else ():
            if any(getattr(hook, "run", self._run_of) is not self._run_of for hook in module._forward_hooks.values()):
                raise RuntimeError(
                    f"model {self._model!r} is under way in another comparison: wait for that one (`wait()`), stop it, "
                    "or compare a copy of the model"
                )
        with ExitStack() as undo:
            undo.enter_context(self._borrowed)
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
        self._latest = ""
        self._running = threading.get_ident()
        try:
            with torch.no_grad(), children_run() if self._fused else ExitStack(), _eagerly():
                self._run(batch)
        except Exception as error:
            after = f" after layer {self._latest!r}" if self._latest else ""
            add_place(error, f"in the forward pass of model {self._model!r}{after}")
            raise
        finally:
            self._running = None

    def _run(self, batch: Batch) -> None:
        # nn.Module.compile() replaces what calling the module runs; its hooks belong to the original
        forward = partial(self._calling, self._network._call_impl, batch, self._device)
        if self._random is None:
            forward()
        else:
            self._random.run(forward)

    @property
    def ran(self) -> bool:
        """Whether any of the named modules ran in the latest forward pass."""
        return bool(self._calls)

    def written(self) -> list[str]:
        """Parameters that the network's own forward pass wrote into."""
        return self._borrowed.written()

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            # not this network's pass, but that of another one which shares the module, or of somebody else's
            if self._running != threading.get_ident():
                return
            count = self._calls[name]
            self._calls[name] += 1
            call = self._latest = f"{name}#{count}" if count else name
            self._sink(call, output, args)

        if self._run_of is not None:
            hook.run = self._run_of  # type: ignore[attr-defined]
        return hook


def _eagerly() -> AbstractContextManager:
    """Compiled submodules run their original code, whose hooks fire."""
    # as long as nobody has compiled anything, the compiler is not even imported, which takes a second
    if not hasattr(torch.compiler, "set_stance") or "torch._dynamo" not in sys.modules:
        return ExitStack()
    return torch.compiler.set_stance("force_eager")
