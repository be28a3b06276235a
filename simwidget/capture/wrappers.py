"""Finds the modules inside torch's wrapper modules, and removes the wrappers from the names of layers.

Wrappers are the modules made by `torch.compile`, data parallelism, FSDP1 and activation checkpointing.
"""

from torch import nn

COMPILED = "_orig_mod"
"""The name under which a compiled module registers its original module as a submodule."""

WRAPPED = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""The names under which wrappers of FSDP1 and of activation checkpointing register the module inside."""

_NO_NAMES = frozenset({COMPILED, *WRAPPED})


def unwrap(model: nn.Module) -> nn.Module:
    """Return the original module of a compiled, `DataParallel` or `DistributedDataParallel` model.

    Hooks that are added to a compiled module after compilation never fire, but hooks on the original module fire.
    Wrappers of other kinds are kept, because the model must be run through them. For example, FSDP gathers the
    parameters before it calls the module inside.
    """
    while True:
        if COMPILED in model._modules:
            model = model._modules[COMPILED]  # type: ignore[assignment]
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def innermost(module: nn.Module) -> nn.Module:
    """Return the module inside all wrappers of `module`.

    Hooks are registered on this inner module, and the submodules of the inner module count as layers. The wrappers
    return the inner module's output.
    """
    while True:
        module = unwrap(module)
        inside = [module._modules[name] for name in WRAPPED if name in module._modules]
        if not inside or inside[0] is None:
            return module
        module = inside[0]


def flattened_modules(model: nn.Module) -> set[int]:
    """Return the ids of the modules whose parameters FSDP1 has replaced by one flat parameter."""
    infos = (info for parameter in model.parameters() for info in getattr(parameter, "_param_infos", ()))
    return {id(info.module) for info in infos}


def clean_name(name: str) -> str:
    """Remove the names of wrappers from the name of a module or parameter, or from a layer pattern ("model:layer").

    >>> clean_name("blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module.conv")
    'blocks.0.conv'
    """
    return ":".join(".".join(part for part in one.split(".") if part not in _NO_NAMES) for one in name.split(":"))
