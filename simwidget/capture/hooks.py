"""`Capture`: runs a network with forward hooks on its layers.

Each layer's output is passed to a callback inside the hook, before a later layer can write into the output in place.
`Capture` keeps no reference to an output after the hook returns.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from simwidget.capture.caller import Caller
from simwidget.capture.layers import named_layers
from simwidget.capture.node_pooling import NodePooling
from simwidget.capture.wrappers import clean_name
from simwidget.data.batch import Batch
from simwidget.restore.copies import mark_hook, owner_of
from simwidget.restore.fused_layers import fused_layers_disabled, has_fused_layers
from simwidget.restore.interrupts import interrupts_allowed, interrupts_held
from simwidget.restore.networks import RestoredNetwork
from simwidget.restore.randomness import OwnRandomStream, RecordedStream
from simwidget.restore.shared_setting import SharedSetting
from simwidget.text.errors import add_place

Sink = Callable[[str, Any, Any], None]
"""Type of the callback sink(call, output, inputs) that receives each layer's output.

`call` is the layer's name, followed by "#1", "#2", ... for the second, third, ... call of the layer in a forward pass.
`output` is what the layer returned. `inputs` is the tuple of the layer's positional arguments.
"""


_entering = threading.Lock()
"""a lock, held while a `Capture` looks for hooks of other runs and adds its own hooks"""


class Capture(AbstractContextManager):
    """A context manager with forward hooks on the chosen layers of one network; `forward` runs the network.

    On entry the network is put into evaluation mode. It is also moved to `device`, unless its tensors are on several
    devices. On exit, also after an error, the hooks are removed and the network is restored.

    Args:
        network: the network.
        model: the name of the network, for error messages.
        names: the names of the layers.
        device: the device that the network runs on.
        caller: calls the network with a batch.
        sink: called with each layer's output, inside the hook.
        owner: the run that the hooks belong to. If a module already has hooks of another run, entering the context
            raises RuntimeError. Hooks of the same run are allowed, because the networks of a run may share modules. If
            `owner` is None, existing hooks are not checked.
        random: the network's own stream of random numbers. If None, the network draws from the global generators.
        unpooled: the names of the layers whose outputs for the nodes of graphs are not averaged, see `NodePooling`.
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
        random: OwnRandomStream | RecordedStream | None = None,
        unpooled: Collection[str] = (),
    ) -> None:
        self._owner = owner
        self._network = network
        self._model = model
        self._names = tuple(names)
        self._device = device
        self._caller = caller
        self._sink = self._present_sink = sink
        self._calls: Counter[str] = Counter()
        self._forward_thread: int | None = None
        """the id of the thread that runs the current forward pass; None while no forward pass runs"""
        self._fused = has_fused_layers(network)
        self._random = random
        self._latest_call = ""
        self._unpooled = unpooled
        self._nodes = NodePooling()
        self._restored = RestoredNetwork(network, model, device)
        self._undo = ExitStack()

    def __enter__(self) -> "Capture":
        with _entering:  # so that of two runs that start at the same time one is refused
            self._check_owner()
            with ExitStack() as undo:
                undo.enter_context(self._restored)
                modules = named_layers(self._network)
                for name in self._names:
                    undo.callback(modules[name].register_forward_hook(self._hook(name)).remove)
                self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._undo.close()

    def _check_owner(self) -> None:
        """Raise RuntimeError if a module of the network has hooks of another owner."""
        for module in self._network.modules() if self._owner is not None else ():
            if any(owner_of(hook) not in (None, self._owner) for hook in tuple(module._forward_hooks.values())):
                raise RuntimeError(
                    f"model {self._model!r} is used by another running comparison: wait for it (`wait()`), stop it, or "
                    "compare a copy of the model"
                )

    def forward(self, batch: Batch, sink: Sink | None = None) -> None:
        """Run one forward pass without gradients, and call the sink with each layer's output in execution order.

        Args:
            batch: the batch.
            sink: the callback for this pass. If None, the callback that was given to the constructor is used.
        """
        self._present_sink = self._sink if sink is None else sink
        self._calls.clear()
        self._latest_call = ""
        self._forward_thread = threading.get_ident()
        self._nodes.begin(batch)
        try:
            with interrupts_held(), torch.no_grad(), self._calls_submodules(), interrupts_allowed():
                self._run(batch)
        except Exception as error:
            after = f" after layer {self._latest_call!r}" if self._latest_call else ""
            add_place(error, f"in the forward pass of model {self._model!r}{after}")
            raise
        finally:
            self._forward_thread = None
            self._nodes.end()

    @contextmanager
    def _calls_submodules(self) -> Iterator[None]:
        """Context manager that turns off fused operations and compiled code, because these skip hooks on submodules."""
        with fused_layers_disabled() if self._fused else nullcontext(), _without_compilation():
            yield

    def _run(self, batch: Batch) -> None:
        # nn.Module.compile() replaces what `network(...)` runs, and the compiled code would skip the hooks
        forward = partial(self._caller, self._network._call_impl, batch, self._device)
        if self._random is None:
            forward()
        else:
            self._random.run(forward)

    @property
    def any_layer_ran(self) -> bool:
        """Whether any of the chosen layers ran in the latest forward pass."""
        return bool(self._calls)

    def modified(self) -> list[str]:
        """Return the names of parameters and large buffers that were written into since the context was entered.

        A buffer is large if it has more than `LARGE_BUFFER_BYTES` bytes.
        """
        return [clean_name(name) for name in self._restored.modified()]

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            # another network that shares the module is running, or the user's code on another thread
            if self._forward_thread != threading.get_ident():
                return
            count = self._calls[name]
            self._calls[name] += 1
            call = self._latest_call = f"{name}#{count}" if count else name
            # a network may compute gradients in its forward pass
            with torch.no_grad() if torch.is_grad_enabled() else nullcontext():
                found = output if name in self._unpooled else self._nodes.pool(call, output)
                self._present_sink(call, found, args)

        mark_hook(hook, self._owner if self._owner is not None else self)
        return hook


def _without_compilation() -> AbstractContextManager:
    """Return a context in which compiled submodules run their original code, so that hooks on submodules are called."""
    # without compiled modules, do not import the compiler, which takes a second
    if not hasattr(torch.compiler, "set_stance") or "torch._dynamo" not in sys.modules:
        return ExitStack()
    return _eager.changed()


def _force_eager() -> ExitStack:
    stance = ExitStack()
    stance.enter_context(torch.compiler.set_stance("force_eager"))
    return stance


_eager = SharedSetting(_force_eager, ExitStack.close)
