"""`CleanCopies`: copies and pickles that are made of a network during a run are those of the network before it."""

import copyreg
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from torch import nn

_lock = threading.Lock()
_registered: dict[type, int] = {}
"""module classes with `_reduce` in copyreg's table, and how many open contexts need it"""
_training: dict[int, bool] = {}
"""id of each module in a run -> its mode before the run"""


class CleanCopies(AbstractContextManager):
    """While the context is open, a copy of the network has its mode from before, and none of the run's hooks.

    This holds for `copy.copy`, `copy.deepcopy`, `pickle` and `torch.save` in any thread. They all look up in the table
    of `copyreg` how to take an object apart, unless its class defines that itself. The hooks of a run are those that
    `mark_hook` has marked.
    """

    def __init__(self, network: nn.Module) -> None:
        # modules of another network of the run, which are in evaluation mode already, keep what that one noted
        self._modules = [module for module in network.modules() if id(module) not in _training]
        self._classes = {type(module) for module in self._modules}

    def __enter__(self) -> "CleanCopies":
        with _lock:
            _training.update({id(module): module.training for module in self._modules})
            for cls in self._classes:
                if cls in _registered or cls not in copyreg.dispatch_table:
                    _registered[cls] = _registered.get(cls, 0) + 1
                    copyreg.dispatch_table[cls] = _reduce
        for module in self._modules:
            if hasattr(type(module), "__deepcopy__"):
                vars(module)["__deepcopy__"] = _DeepCopy(module)
        return self

    def __exit__(self, *exc: object) -> None:
        for module in self._modules:
            if hasattr(type(module), "__deepcopy__"):
                vars(module).pop("__deepcopy__", None)
        with _lock:
            for module in self._modules:
                _training.pop(id(module), None)
            for cls in self._classes & _registered.keys():
                _registered[cls] -= 1
                if not _registered[cls]:
                    del _registered[cls], copyreg.dispatch_table[cls]


def mark_hook(hook: Any, owner: object) -> None:
    """Mark a forward hook as one of a run: copies of its module are made without it."""
    hook.simwidget_owner = owner


def owner_of(hook: Any) -> object:
    """The run that a forward hook belongs to; None if it is not a run's hook."""
    return getattr(hook, "simwidget_owner", None)


def _reduce(module: nn.Module) -> Any:
    """What `copy` and `pickle` make a module from: the usual parts, with the state from before the run."""
    found = module.__reduce_ex__(4)
    if isinstance(found, str) or id(module) not in _training:
        return found
    function, *parts = found
    return function, *(_clean_state(part, module) for part in parts)


def _clean_state(part: Any, module: nn.Module) -> Any:
    """The attributes of a module, alone or in a tuple, as they were before the run; anything else unchanged."""
    if type(part) is tuple:
        return tuple(_clean_state(one, module) for one in part)
    if not isinstance(part, dict) or "_forward_hooks" not in part:
        return part
    hooks = OrderedDict((key, hook) for key, hook in part["_forward_hooks"].copy().items() if owner_of(hook) is None)
    clean = {**part, "training": _training.get(id(module), part["training"]), "_forward_hooks": hooks}
    clean.pop("__deepcopy__", None)
    return clean


class _DeepCopy:
    """The `__deepcopy__` of a module whose class has one of its own, such as `torch.fx.GraphModule`."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __call__(self, memo: dict[int, Any]) -> Any:
        copied = type(self._module).__deepcopy__(self._module, memo)  # type: ignore[attr-defined]
        for name, module in self._module.named_modules():
            twin = copied.get_submodule(name)
            twin.training = _training.get(id(module), module.training)
            for key in [key for key, hook in twin._forward_hooks.items() if owner_of(hook) is not None]:
                del twin._forward_hooks[key]
        vars(copied).pop("__deepcopy__", None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> "Callable[[dict[int, Any]], Any]":
        return self  # a class's own way may copy the attributes one by one
