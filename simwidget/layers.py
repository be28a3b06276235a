"""Which modules of a network are its layers."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from simwidget.suggestions import near

REPEATS_LAST_CHILD = (nn.Sequential,)
NEVER_RUNS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def unwrap(model: nn.Module) -> nn.Module:
    """The original module of a compiled, `DataParallel` or `DistributedDataParallel` model.

    Hooks added to a compiled module after its compilation never fire; those of the original do.
    """
    while True:
        if isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod  # type: ignore[assignment]
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def layers_matching(model: nn.Module, patterns: Sequence[str], model_name: str) -> list[str]:
    """Names of the modules that equal one of the patterns or match it as a glob (`"layer3.*"`), in module order.

    Raises ValueError for a pattern that matches nothing, with the nearest names.
    """
    if isinstance(patterns, str):
        patterns = [patterns]
    names = [name for name, _ in _named_modules(model)]
    matched: set[str] = set()
    for pattern in patterns:
        hits = [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
        if not hits:
            raise ValueError(f"no layer of {model_name!r} matches {pattern!r}.{near(pattern, names)}")
        matched.update(hits)
    return _without_aliases(model, matched)


def layers_containing(model: nn.Module, substrings: Sequence[str], model_name: str) -> list[str]:
    """Names of the modules whose name contains one of the substrings, in module order, as simtorch chooses them."""
    if isinstance(substrings, str):
        substrings = [substrings]
    names = [name for name, _ in _named_modules(model)]
    for part in substrings:
        if not any(part in name for name in names):
            raise ValueError(f"no layer of {model_name!r} has {part!r} in its name.{near(part, names)}")
    return _without_aliases(model, {name for name in names if any(part in name for part in substrings)})


def default_layers(model: nn.Module) -> list[str]:
    """What a researcher would choose: layers with parameters of their own and the outputs of blocks.

    Left out are dropout, identity, activations and pooling (no parameters), containers that merely repeat their last
    child, the parts of `nn.MultiheadAttention` (it uses their weights and never calls them) and parametrisations.
    """
    chosen = [name for name, module in _walk(model, "") if _is_layer_by_default(module)]
    if not chosen:
        chosen = [name for name, module in _walk(model, "") if not isinstance(module, NEVER_RUNS)]
    return _without_aliases(model, set(chosen))


def _is_layer_by_default(module: nn.Module) -> bool:
    if isinstance(module, nn.Dropout | nn.Identity):
        return False
    repeats = REPEATS_LAST_CHILD + NEVER_RUNS
    if any(isinstance(module, kind) and type(module).forward is kind.forward for kind in repeats):
        return False
    is_block = next(module.children(), None) is not None
    return is_block or next(module.parameters(recurse=False), None) is not None


def _walk(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, ParametrizationList) or name == "parametrizations":
            continue
        yield prefix + name, child
        if not isinstance(child, nn.MultiheadAttention):
            yield from _walk(child, f"{prefix}{name}.")


def _named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module below the model, also under the second name of one that is registered twice."""
    return ((name, module) for name, module in model.named_modules(remove_duplicate=False) if name)


def _without_aliases(model: nn.Module, chosen: set[str]) -> list[str]:
    """The chosen names in module order, each module once."""
    seen: dict[int, str] = {}
    for name, module in _named_modules(model):
        if name in chosen:
            seen.setdefault(id(module), name)
    return list(seen.values())
