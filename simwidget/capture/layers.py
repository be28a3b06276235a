"""Finds the layers of a network, and chooses some of them by name, glob or substring."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList

from simwidget.capture.wrappers import clean_name, flattened_modules, innermost
from simwidget.text.suggestions import did_you_mean

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def check_network(model: nn.Module, model_name: str) -> None:
    """Check that hooks on the layers of a network will fire, and that running the network initialises no parameters.

    Raises:
        TypeError: the network is a TorchScript module, whose submodules run without hooks.
        ValueError: the network contains a lazy module that is not initialised yet.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            f"{model_name!r} is a TorchScript module, whose submodules run without hooks: pass the original"
        )
    for name, module in model.named_modules():
        own = (*module._parameters.values(), *module._buffers.values())
        if any(isinstance(one, UninitializedParameter | UninitializedBuffer) for one in own):
            what = f"layer {clean_name(name)!r} of {model_name!r}" if clean_name(name) else repr(model_name)
            raise ValueError(
                f"{what} is lazy and not initialised: a comparison never changes parameters, so run the model on one "
                "batch first"
            )


def _refuse_scripted(chosen: Iterable[str], layers: Mapping[str, nn.Module], model_name: str) -> None:
    for name in chosen:
        if isinstance(layers[name], torch.jit.ScriptModule):
            raise TypeError(
                f"layer {name!r} of {model_name!r} is a TorchScript module, which runs without hooks: choose other "
                "layers, or put the original in its place"
            )


def layers_matching(model: nn.Module, patterns: Sequence[str], model_name: str) -> list[str]:
    """Return the names of the modules that match at least one of the patterns, in the order of registration.

    A pattern is a name or a glob (`"layer3.*"`). A module that is registered under several matching names is listed
    once, under the first of these names. TorchScript modules are left out.

    Raises:
        ValueError: a pattern matches no module; the message suggests similar names.
        TypeError: a pattern is not a string, or matches only TorchScript modules.
    """
    if isinstance(patterns, str):
        patterns = [patterns]
    layers = named_layers(model)
    names = list(layers)
    matched: set[str] = set()
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(
                f"layers of {model_name!r} has {pattern!r}: give names or globs of layers, such as '*.attn'"
            )
        wanted = clean_name(pattern)
        if wanted in names:
            _refuse_scripted([wanted], layers, model_name)
        hits = [wanted] if wanted in names else [name for name in names if fnmatchcase(name, wanted)]
        if hits and all(isinstance(layers[name], torch.jit.ScriptModule) for name in hits):
            _refuse_scripted(hits, layers, model_name)
        if not hits:
            raise ValueError(f"no layer of {model_name!r} matches {pattern!r}.{did_you_mean(pattern, names)}")
        matched.update(hits)
    return _without_aliases(model, matched)


def layers_containing(model: nn.Module, substrings: Sequence[str], model_name: str) -> list[str]:
    """Return the names of the modules whose names contain at least one of the substrings, in the order of registration.

    A module with several such names is listed once. TorchScript modules are left out. The package simtorch selects
    layers by substrings, too.

    Raises:
        ValueError: a substring occurs in no name; the message suggests similar names.
    """
    if isinstance(substrings, str):
        substrings = [substrings]
    substrings, names = [clean_name(part) for part in substrings], list(named_layers(model))
    for part in substrings:
        if not any(part in name for name in names):
            raise ValueError(f"no layer of {model_name!r} has {part!r} in its name.{did_you_mean(part, names)}")
    return _without_aliases(model, {name for name in names if any(part in name for part in substrings)})


def default_layers(model: nn.Module) -> list[str]:
    """Return the names of the layers that are compared by default: modules with parameters of their own, and blocks.

    A block is a module with submodules. The following modules are left out:

    - modules with neither parameters nor submodules, such as activations, pooling, dropout and identity;
    - `nn.Sequential`, because its output is the output of its last child;
    - containers without a `forward` method, such as `nn.ModuleList`;
    - submodules of `nn.MultiheadAttention`, because this module uses their weights but never calls them;
    - parametrisations.

    If no module remains, the names of all modules that a forward pass may call are returned.
    """
    candidates = [(name, module) for name, module in _walk(model, "", descend=_calls_children)]
    flattened = flattened_modules(model)
    chosen = {name for name, module in candidates if _is_layer_by_default(module) or id(module) in flattened}
    return _without_aliases(model, chosen or {name for name, module in candidates if not _is_bare_container(module)})


def _is_layer_by_default(module: nn.Module) -> bool:
    if isinstance(module, nn.Dropout | nn.Identity):
        return False
    if _is_bare_container(module) or (
        isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
    ):
        return False
    is_block = next(module.children(), None) is not None
    return is_block or next(module.parameters(recurse=False), None) is not None


def _is_bare_container(module: nn.Module) -> bool:
    """Whether a module is a container that is never called, because it has no `forward` (such as `nn.ModuleList`)."""
    return any(isinstance(module, kind) and type(module).forward is kind.forward for kind in CONTAINERS)


def _calls_children(module: nn.Module) -> bool:
    """Whether a module may call its submodules; False for `nn.MultiheadAttention` and lists of parametrisations."""
    return not isinstance(module, nn.MultiheadAttention | ParametrizationList)


def _walk(
    module: nn.Module, prefix: str, descend: Callable[[nn.Module], bool] = lambda module: True
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the name and the module of every descendant of `module`, with `prefix` put before each name.

    A module that is registered under several names is yielded under each name. A wrapper (compiled, data-parallel,
    FSDP1 or activation checkpointing) is replaced by the module inside it. The submodules of a descendant are visited
    if `descend(descendant)` is true. If `descend` is `_calls_children`, lists of parametrisations are skipped.
    """
    for name, child in innermost(module)._modules.items():
        if child is None or (descend is _calls_children and name == "parametrizations"):
            continue
        original = innermost(child)
        yield prefix + name, original
        if descend(original):
            yield from _walk(original, f"{prefix}{name}.", descend)


def named_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return all submodules of a model, at all levels, by name; a module with several names appears under each name."""
    return dict(_walk(model, ""))


def _without_aliases(model: nn.Module, chosen: set[str]) -> list[str]:
    """Return the chosen names in the order of registration, but only the first chosen name of each module.

    TorchScript modules are left out, because they run without hooks.
    """
    seen: dict[int, str] = {}
    for name, module in _walk(model, ""):
        if name in chosen and not isinstance(module, torch.jit.ScriptModule):  # they have no hooks
            seen.setdefault(id(module), name)
    return list(seen.values())
