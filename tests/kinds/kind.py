"""A row of the table: what is compared, and what its layers' outputs mean, said without the package."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

Read = Callable[[Any, Any], Tensor]
"""A layer's output as it was cloned, and the loader's batch -> representation (n, p)."""


def flat(output, batch):
    return output.flatten(1)


def plainly(model, batch):
    return model(batch)


@dataclass
class Case:
    """One comparison, with all that an oracle needs to say what must come out of it."""

    models: Mapping[str, nn.Module]
    batches: Sequence[Any]
    """three at least: a run can fail in the last of them and have numbers"""
    layers: Sequence[str] | Mapping[str, Sequence[str]]
    read: Read | Mapping[str, Read] = flat
    """for all layers, or by "layer" or "model:layer", also of a second call: "layer#1"; the others are flattened"""
    options: Mapping[str, Any] = field(default_factory=dict)
    call: Callable[[nn.Module, Any], Any] | Mapping[str, Callable[[nn.Module, Any], Any]] = plainly
    """how a model is run on a batch; for all, or by model"""
    confounders: Sequence[Callable[[Any, Mapping[str, Any]], Tensor]] = ()
    """the loader's batch and all cloned outputs by "model:layer" -> (n, p); without any there is no dCKA"""
    extra: Sequence[str] = ()
    """"model:layer" of outputs that only the confounders need"""
    plain: Mapping[str, nn.Module] = field(default_factory=dict)
    """the originals of wrapped models"""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """"model:layer" of those without numbers, and a part of what is said of them"""
    explained: Sequence[str] = ()
    """"model:layer" of those that the confounder explains: they have no dCKA"""
    notes: Sequence[str] = ()
    """a pattern for each note that the result must have; it must have no others"""
    foreign: Sequence[str] = ()
    """patterns of warnings that other libraries give when the models run"""
    loader: Callable[[Iterable], Iterable] = list
    """the batches as the loader that is given"""
    around: Callable[[], AbstractContextManager] = nullcontext
    """what is on while the models run"""
    after: Callable[[], None] = lambda: None
    draws_late: bool = False
    """whether a model draws random numbers, but none in its first pass: in the background that is not put back"""

    @property
    def measures(self) -> tuple[str, ...]:
        return ("cka", "dcka") if self.confounders else ("cka",)

    def original(self, name: str) -> nn.Module:
        return self.plain.get(name, self.models[name])

    def layers_of(self, name: str) -> Sequence[str]:
        return self.layers[name] if isinstance(self.layers, Mapping) else self.layers


@dataclass(frozen=True)
class Kind:
    """A row: its name and what makes a fresh case."""

    id: str
    build: Callable[[], Case]


class Table(list):
    """Kinds, in the order of their definition."""

    def row(self, name: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
        def add(build: Callable[[], Case]) -> Callable[[], Case]:
            self.append(Kind(name, build))
            return build

        return add
