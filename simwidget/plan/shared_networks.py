"""`shared_network_notes`: notes on models of a comparison that are the same network, although they seem to differ."""

import re
from collections.abc import Iterator, Sequence

from torch import nn

from simwidget.capture.wrappers import clean_name, innermost
from simwidget.plan.networks import PlannedModel

ADAPTER = re.compile(r"(^|_)(lora|adapters?)(_|$)", re.IGNORECASE)
"""Matches a part of a dotted name that belongs to an adapter, such as "lora_A" or "text_adapter"."""
MIN_SHARE = 0.5
"""Two networks with the same adapter are the same network if they share at least this part of the parameters of the
network with fewer parameters."""


def shared_network_notes(models: Sequence[PlannedModel]) -> Iterator[str]:
    """Yield a note for each model that is the same network as an earlier model, although the two seem to differ.

    An adapter is a small set of parameters that is added to a trained network. Some libraries build adapters into the
    network in place. The original network then contains the adapter too, so that a comparison of the original network
    with the adapted network compares one network with itself.

    Two models that share an adapter are the same network if they share at least `MIN_SHARE` of their parameters. Two
    models without a shared adapter are the same network if they have the same parameters, or if they share parameters
    and one model contains the module of the other. There is no note in these cases:

    - The two models are the same module, and the module has no adapter.
    - The two models are the same module with different `inputs=` functions.
    - The two models have different `forward=` functions, because such a function may turn the adapter off.
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
            f"{names} run networks with the same parameters: a change that was made in place, such as an added "
            "adapter, is in both. To compare with the original network, give a copy.deepcopy that was made before the "
            "change"
        )
    switch = next((model.name for model in (larger, smaller) if hasattr(model.module, "disable_adapter")), None)
    off = "turns the adapter off" if switch is None else f"runs the model under disable_adapter() of {switch!r}"
    return (
        f"{names} run the same network, with the same adapter ({adapters[0]!r}): to run {smaller.name!r} without it, "
        f"give forward={{{smaller.name!r}: f}} with a function f(model, batch) that {off}, or give a copy.deepcopy of "
        "the network that was made before the adapter was added"
    )


def _parameters(module: nn.Module) -> dict[int, str]:
    """Return a dict from the id of each parameter of a network to the name of this parameter."""
    return {id(parameter): clean_name(name) for name, parameter in module.named_parameters()}


def _is_adapter(name: str) -> bool:
    return any(ADAPTER.search(part) for part in name.split("."))
