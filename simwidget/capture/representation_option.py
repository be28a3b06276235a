"""`Representations`: the representation= option, checked: which representation each layer has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from simwidget.capture.patterns import check_patterns, matches

Named = Literal["flatten", "mean", "cls", "last", "tokens", "positions"]
NAMES: tuple[str, ...] = get_args(Named)
BY_POSITION = ("tokens", "positions")
"""Representations in which each token or position is a sample."""
Representation = Named | Callable[[Any], Tensor]
RepresentationOption = Representation | Mapping[str, Representation]


@dataclass(frozen=True)
class Representations:
    """Which representation each layer has: rules of a pattern and a representation, of which the first match counts."""

    rules: tuple[tuple[str, Representation], ...]

    @staticmethod
    def from_option(option: Any, layers: Mapping[str, Sequence[str]]) -> "Representations":
        """Check the user's option.

        Args:
            option: the name of a representation, a callable, or a mapping from layer patterns to these.
            layers: for each model the names of its layers.

        Raises:
            ValueError: an unknown name, a pattern that matches no layer, or a representation with positions as samples
                for only some of the layers.
        """
        given = dict(option) if isinstance(option, Mapping) else {"*": option}
        for pattern, one in given.items():
            if not callable(one) and one not in NAMES:
                at = f" for {pattern!r}" if isinstance(option, Mapping) else ""
                raise ValueError(
                    f"representation={one!r}{at}: choose {', '.join(map(repr, NAMES))}, or a callable from a layer's "
                    'output (n, ...) to (n, p); or a mapping from layer patterns to these, {"*.attn": "mean"}'
                )
        found = Representations(tuple(given.items()))
        check_patterns("representation", list(given) if isinstance(option, Mapping) else [], layers)
        chosen = {found.for_layer(model, layer) for model, names in layers.items() for layer in names}
        by_position = {one for one in chosen if one in BY_POSITION}
        if by_position and chosen - set(BY_POSITION):
            other = next(
                f"{model}:{layer}"
                for model, names in layers.items()
                for layer in names
                if found.for_layer(model, layer) not in BY_POSITION
            )
            raise ValueError(
                f"representation {by_position.pop()!r} makes every token or position a sample, so it must hold for all "
                f"layers: {other!r} has another; use layers= to choose fewer layers, or two comparisons"
            )
        return found

    def for_layer(self, model: str, layer: str) -> Representation:
        """The representation of a layer of a model; "flatten" where no pattern matches."""
        for pattern, one in self.rules:
            if matches(pattern, model, layer):
                return one
        return "flatten"

    @property
    def names_models(self) -> bool:
        """Whether a pattern is restricted to a model, as "model:layer" is."""
        return any(":" in pattern for pattern, _ in self.rules)

    def describe(self) -> Any:
        """For the provenance: the name of the representation, or a mapping from patterns to names."""
        described = {pattern: callable_name(one) if callable(one) else one for pattern, one in self.rules}
        return described["*"] if list(described) == ["*"] else described


def callable_name(function: Any) -> str:
    """The name of a callable option in results and messages."""
    return getattr(function, "__name__", type(function).__name__)
