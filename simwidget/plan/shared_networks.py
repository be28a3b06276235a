"""`shared_network_notes`: finds models of a comparison that are one network, for example with an adapter inside."""

import re
from collections.abc import Iterator, Sequence

from torch import nn

from simwidget.capture.wrappers import clean_name, innermost
from simwidget.plan.networks import PlannedModel

ADAPTER = re.compile(r"(^|_)(lora|adapters?)(_|$)", re.IGNORECASE)
"""Matches a part of a dotted name that belongs to an adapter, such as "lora_A" or "text_adapter"."""
MIN_SHARE = 0.5
"""Two networks with the same adapter count as one if they share at least this part of the smaller one's parameters."""


def shared_network_notes(models: Sequence[PlannedModel]) -> Iterator[str]:
    """Yield a note for each model that is the same network as an earlier model, although the two seem to differ.

    Some libraries build adapters into a network in place. The original network then contains the adapter too, and its
    similarities with the adapted network are those of one network with itself.

    Two models are the same network if one contains the module of the other, if they have the same parameters, or if
    they share an adapter and most of their parameters. There is no note in these cases:
    - The models are the very same module, and it has no adapter or the models have different `inputs=` functions.
    - The models have different `forward=` functions, because such a function may turn the adapter off.
    """
    for position, second in enumerate(models):
        notes = (_note(first, second) for first in models[:position])
        yield from [note for note in notes if note is not None][:1]


def _note(first: PlannedModel, second: PlannedModel) -> str | None:
    is_same = innermost(first.module) is innermost(second.module)
    if first.forward is not second.forward or (is_same and first.inputs is not second.inputs):
        return None
    parameters = [_parameters(model.module) for model in (first, second)]
    shared = parameters[0].keys() & parameters[1].keys()
    adapters = [name for one, name in parameters[0].items() if one in shared and _is_adapter(name)]
    smaller, larger = sorted((first, second), key=lambda model: len(list(model.module.modules())))
    if adapters:
        is_one = len(shared) >= MIN_SHARE * min(map(len, parameters))
    else:
        contains = any(module is innermost(smaller.module) for module in larger.module.modules())
        is_one = bool(shared) and not is_same and (contains or parameters[0].keys() == parameters[1].keys())
    if not is_one:
        return None
    names = f"models {first.name!r} and {second.name!r}"
    if not adapters:
        return (
            f"{names} run networks with the same parameters: what was built into them in place, such as an adapter, is "
            "in both. To compare with the network as it was before, give a copy.deepcopy that was made before"
        )
    switch = next((model.name for model in (larger, smaller) if hasattr(model.module, "disable_adapter")), None)
    off = "turns the adapter off" if switch is None else f"runs the model under disable_adapter() of {switch!r}"
    return (
        f"{names} run the same network, with the same adapter ({adapters[0]!r}): to run {smaller.name!r} without it, "
        f"give forward={{{smaller.name!r}: f}} with a function f(model, batch) that {off}, or give a copy.deepcopy of "
        "the network that was made before the adapter was added"
    )


def _parameters(module: nn.Module) -> dict[int, str]:
    """Return the names of a network's parameters by the ids of the parameters."""
    return {id(parameter): clean_name(name) for name, parameter in module.named_parameters()}


def _is_adapter(name: str) -> bool:
    return any(ADAPTER.search(part) for part in name.split("."))
