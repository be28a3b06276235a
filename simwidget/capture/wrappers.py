"""Modules of torch that wrap others: what of them is run, which has the hooks, and names without them."""

from torch import nn

COMPILED = "_orig_mod"
"""The name of a compiled module's original among its submodules."""

WRAPPED = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""The same for modules that are sharded by FSDP1, or that compute their activations again in the backward pass."""

_NO_NAMES = frozenset({COMPILED, *WRAPPED})


def unwrap(model: nn.Module) -> nn.Module:
    """The original module of a compiled, `DataParallel` or `DistributedDataParallel` model.

    Hooks that are added to a compiled module after compilation never fire; hooks on the original do. A model in another
    wrapper must be run by it: FSDP gathers the parameters first.
    """
    while True:
        if COMPILED in model._modules:
            model = model._modules[COMPILED]  # type: ignore[assignment]
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def innermost(module: nn.Module) -> nn.Module:
    """The module inside all wrappers, whose output theirs is. It has the hooks, and its submodules are the layers."""
    while True:
        module = unwrap(module)
        inside = [module._modules[name] for name in WRAPPED if name in module._modules]
        if not inside or inside[0] is None:
            return module
        module = inside[0]


def flattened_modules(model: nn.Module) -> set[int]:
    """The ids of the modules whose parameters FSDP1 has taken from them, to keep them in a flat one of its own."""
    infos = (info for parameter in model.parameters() for info in getattr(parameter, "_param_infos", ()))
    return {id(info.module) for info in infos}


def clean_name(name: str) -> str:
    """The name of a module or parameter, or a pattern of layers ("model:layer"), without wrappers.

    >>> clean_name("blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module.conv")
    'blocks.0.conv'
    """
    return ":".join(".".join(part for part in one.split(".") if part not in _NO_NAMES) for one in name.split(":"))
