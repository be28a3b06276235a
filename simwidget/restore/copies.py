"""Evaluation mode for a run, of which copies and pickles that are made of the network meanwhile show nothing."""

import copyreg
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from torch import nn

_lock = threading.RLock()
"""held while modes change and while a module's state is read for a copy, so that a copy sees one or the other"""
_modes: dict[int, bool] = {}
"""id of each module in a run -> `training` before the run"""
_uses: dict[type, int] = {}
"""module class with `_reduce` in copyreg's table -> number of `CleanCopies` that need it"""
_unneeded: list[set[type]] = []
"""the classes of each `CleanCopies` that is gone; a finalizer may be interrupted, so it only appends here"""


class CleanCopies:
    """As long as this object exists, copies of the networks have their mode from before a run and none of its hooks.

    This holds for `copy.copy`, `copy.deepcopy`, `pickle` and `torch.save` in any thread. They all look up in the table
    of `copyreg` how to take an object apart, unless its class defines that itself. The hooks of a run are those that
    `mark_hook` has marked. Make this object well before the mode changes: a copy that another thread has begun already
    does not use the table.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        classes = {type(module) for network in networks for module in network.modules()}
        with _lock:
            _trim()
            classes = {cls for cls in classes if copyreg.dispatch_table.get(cls, _reduce) is _reduce}
            for cls in classes:  # an entry of the user's stays
                _uses[cls] = _uses.get(cls, 0) + 1
                copyreg.dispatch_table[cls] = _reduce
        weakref.finalize(self, _unneeded.append, classes)


def _trim() -> None:
    """Remove the entries of classes that no `CleanCopies` needs any more."""
    while _unneeded:
        for cls in _unneeded.pop():
            _uses[cls] -= 1
            if not _uses[cls]:
                del _uses[cls], copyreg.dispatch_table[cls]


class EvaluationMode(AbstractContextManager):
    """A context in which a network is in evaluation mode; afterwards each module has its own mode again.

    The attribute `training` is set without calling `train` or `eval`, because some networks override these and merge
    weights there. Copies made in the context are clean, see `CleanCopies`.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._modules: list[nn.Module] = []

    def __enter__(self) -> "EvaluationMode":
        self._copies = CleanCopies([self._network])
        with _lock:
            # another network of the run may share modules, and have noted their mode already
            self._modules = [module for module in self._network.modules() if id(module) not in _modes]
            for module in self._modules:
                _modes[id(module)] = module.training
                if hasattr(type(module), "__deepcopy__"):
                    vars(module)["__deepcopy__"] = _DeepCopy(module)
                if module.training:
                    module.training = False
        return self

    def __exit__(self, *exc: object) -> None:
        with _lock:
            for module in self._modules:
                mode = _modes.pop(id(module))
                vars(module).pop("__deepcopy__", None)
                if module.training != mode:
                    module.training = mode
            self._modules = []
            del self._copies
            _trim()


def mark_hook(hook: Any, owner: object) -> None:
    """Mark a forward hook as one of a run: copies of its module are made without it."""
    hook.simwidget_owner = owner


def owner_of(hook: Any) -> object:
    """The run that a forward hook belongs to; None if it is not a run's hook."""
    return getattr(hook, "simwidget_owner", None)


def _reduce(module: nn.Module) -> Any:
    """What `copy` and `pickle` make a module from: the usual parts, with the state from before the run."""
    with _lock:
        found = module.__reduce_ex__(4)
        if isinstance(found, str):
            return found
        function, *parts = found
        return function, *(_clean(part, module) for part in parts)


def _clean(part: Any, module: nn.Module) -> Any:
    """A copy of a module's attributes, alone or in a tuple, as they were before the run; anything else unchanged."""
    if type(part) is tuple:
        return tuple(_clean(one, module) for one in part)
    if not isinstance(part, dict) or "_forward_hooks" not in part:
        return part
    hooks = OrderedDict((key, hook) for key, hook in part["_forward_hooks"].items() if owner_of(hook) is None)
    clean = {**part, "training": _modes.get(id(module), part["training"]), "_forward_hooks": hooks}
    if id(module) in _modes:
        clean.pop("__deepcopy__", None)
    return clean


class _DeepCopy:
    """The `__deepcopy__` of a module whose class has one of its own, such as `torch.fx.GraphModule`."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __call__(self, memo: dict[int, Any]) -> Any:
        copied = type(self._module).__deepcopy__(self._module, memo)  # type: ignore[attr-defined]
        modules = dict(copied.named_modules())
        with _lock:
            for name, module in self._module.named_modules():
                twin = modules[name]
                twin.training = _modes.get(id(module), module.training)
                for key in [key for key, hook in twin._forward_hooks.items() if owner_of(hook) is not None]:
                    del twin._forward_hooks[key]
        vars(copied).pop("__deepcopy__", None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> "_DeepCopy":
        return self  # a class's own way may copy the attributes one by one
