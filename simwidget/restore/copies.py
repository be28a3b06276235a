"""Puts a network into evaluation mode for a run, and keeps the run's changes out of copies and pickles of the network.

The run's changes are the evaluation mode of the modules and the forward hooks on the layers.
"""

import copyreg
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from torch import nn

_lock = threading.RLock()
"""held while modes change and while a module's state is read for a copy, so that no copy gets a half-changed state"""
_modes: dict[int, "_Mode"] = {}
"""id of each module in a run -> its mode before the run"""
_uses: dict[type, int] = {}
"""module class whose entry in `copyreg.dispatch_table` is `_reduce` -> number of `CleanCopies` that need the entry"""
_unneeded: list[set[type]] = []
"""the module classes of each garbage-collected `CleanCopies`

The finalizer of a `CleanCopies` may be interrupted. Therefore it only appends to this list, and `_trim` later removes
the classes from `copyreg.dispatch_table`.
"""


@dataclass
class _Mode:
    """The mode (training or evaluation) that a module had before the runs that use the module."""

    module: weakref.ref[nn.Module]
    before: bool
    """the value of the module's attribute `training` before the runs"""
    n_uses: int = 0
    """number of active `EvaluationMode` contexts that contain the module"""


def _mode_of(module: nn.Module) -> _Mode | None:
    """Return the mode of a module before a run; None if the module is in no run.

    The entry of a deleted module does not count, even if `module` has the same id.
    """
    mode = _modes.get(id(module))
    return mode if mode is not None and mode.module() is module else None


class CleanCopies:
    """As long as this object exists, copies of the networks do not contain the changes that a run makes.

    A copy has the modes that the modules had before the run, and none of the hooks that `mark_hook` has marked. This
    holds for `copy.copy`, `copy.deepcopy`, `pickle` and `torch.save` in any thread. These functions look up each
    module's class in `copyreg.dispatch_table`, where this object has put a function. There are two exceptions:

    - If a class has a method `__copy__` or `__deepcopy__`, Python's `copy` functions call this method and do not use
      the table. For `__deepcopy__`, `EvaluationMode` keeps the run's changes out of the copies.
    - If the user has put a function for a class into the table, this function is not replaced.

    Create this object as early as possible before the modes change. If another thread has already begun to copy a
    module, the copy does not use an entry that is put into the table afterwards.
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
    """Remove the entries in `copyreg.dispatch_table` that no `CleanCopies` object needs any more."""
    while _unneeded:
        for cls in _unneeded.pop():
            _uses[cls] -= 1
            if not _uses[cls]:
                del _uses[cls]
                if copyreg.dispatch_table.get(cls) is _reduce:  # not an entry that the user has added meanwhile
                    del copyreg.dispatch_table[cls]


class EvaluationMode(AbstractContextManager):
    """Context manager: puts a network into evaluation mode; on exit, each module gets back its earlier mode.

    If a module is in several of these contexts, it gets its mode back when the last of these contexts ends.

    The attribute `training` is set without calling `train` or `eval`, because some networks override these methods to
    merge weights. Copies of the network that are made inside the context have the earlier modes (see `CleanCopies`).
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._modules: list[nn.Module] = []

    def __enter__(self) -> "EvaluationMode":
        self._copies = CleanCopies([self._network])
        with _lock:
            try:
                for module in self._network.modules():
                    self._enter(module)
            except BaseException:  # a module may refuse to be changed
                self._leave()
                raise
        return self

    def _enter(self, module: nn.Module) -> None:
        """Put a module into evaluation mode. If no other context contains the module, record its earlier mode."""
        mode = _mode_of(module)
        if mode is None:
            mode = _modes[id(module)] = _Mode(weakref.ref(module), module.training)
        mode.n_uses += 1
        self._modules.append(module)
        if hasattr(type(module), "__deepcopy__") and "__deepcopy__" not in vars(module):
            vars(module)["__deepcopy__"] = _DeepCopy(module)
        if module.training:
            module.training = False

    def __exit__(self, *exc: object) -> None:
        with _lock:
            self._leave()

    def _leave(self) -> None:
        """Give each module its earlier mode back, unless another `EvaluationMode` context still contains the module."""
        while self._modules:
            module = self._modules.pop()
            mode = _mode_of(module)
            assert mode is not None
            mode.n_uses -= 1
            if mode.n_uses:
                continue
            del _modes[id(module)]
            if isinstance(vars(module).get("__deepcopy__"), _DeepCopy):
                del vars(module)["__deepcopy__"]
            if module.training != mode.before:
                module.training = mode.before
        del self._copies
        _trim()


def mark_hook(hook: Any, owner: object) -> None:
    """Mark a forward hook as belonging to the run `owner`, so that `CleanCopies` keeps the hook out of copies."""
    hook.simwidget_owner = owner


def owner_of(hook: Any) -> object:
    """Return the owner that `mark_hook` has set for a forward hook; None if the hook is not marked."""
    return getattr(hook, "simwidget_owner", None)


def _reduce(module: nn.Module) -> Any:
    """Return the result of a module's `__reduce_ex__`, with the mode from before the run and without marked hooks."""
    with _lock:
        found = module.__reduce_ex__(4)
        if isinstance(found, str):
            return found
        function, *parts = found
        return function, *(_clean(part, module) for part in parts)


def _clean(part: Any, module: nn.Module) -> Any:
    """Return one part of the result of a module's `__reduce_ex__`, without the changes that the run made.

    If `part` is the dict of the module's attributes, return a changed copy of the dict. If `part` is a tuple, apply
    this function to each of its elements. Return any other part unchanged.
    """
    if type(part) is tuple:
        return tuple(_clean(one, module) for one in part)
    if not isinstance(part, dict) or "_forward_hooks" not in part:
        return part
    hooks = OrderedDict((key, hook) for key, hook in part["_forward_hooks"].items() if owner_of(hook) is None)
    mode = _mode_of(module)
    clean = {**part, "training": part["training"] if mode is None else mode.before, "_forward_hooks": hooks}
    if isinstance(clean.get("__deepcopy__"), _DeepCopy):
        del clean["__deepcopy__"]
    return clean


class _DeepCopy:
    """Replaces the method `__deepcopy__` of a module during a run, if the module's class has this method.

    An example of such a class is `torch.fx.GraphModule`. The replacement calls the method of the class. Then it gives
    the copy the modes from before the run and removes marked hooks from the copy.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __call__(self, memo: dict[int, Any]) -> Any:
        copied = type(self._module).__deepcopy__(self._module, memo)  # type: ignore[attr-defined]
        modules = dict(copied.named_modules())
        with _lock:
            for name, module in self._module.named_modules():
                twin = modules[name]
                mode = _mode_of(module)
                twin.training = module.training if mode is None else mode.before
                for key in [key for key, hook in twin._forward_hooks.items() if owner_of(hook) is not None]:
                    del twin._forward_hooks[key]
        if isinstance(vars(copied).get("__deepcopy__"), _DeepCopy):
            del vars(copied)["__deepcopy__"]
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> "_DeepCopy":
        return self  # a class's own way may copy the attributes one by one
