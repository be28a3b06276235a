"""`Representations`: checks the user's option representation= and returns the representation of each layer."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from simwidget.capture.patterns import check_patterns, matches

Named = Literal["flatten", "mean", "cls", "last", "tokens", "positions"]
NAMES: tuple[str, ...] = get_args(Named)
BY_POSITION = ("tokens", "positions")
"""Names of the representations in which each token or position counts as a sample."""
Representation = Named | Callable[..., Tensor]
RepresentationOption = Representation | Mapping[str, Representation]


@dataclass(frozen=True)
class Representations:
    """Rules that assign a representation to each layer. A rule is a pair of a layer pattern and a representation.

    For each layer, the first rule with a matching pattern applies.
    """

    rules: tuple[tuple[str, Representation], ...]

    @staticmethod
    def from_option(option: Any, layers: Mapping[str, Sequence[str]]) -> "Representations":
        """Check the user's option representation= and return it as `Representations`.

        Args:
            option: the name of a representation, a callable, or a mapping from layer patterns to names or callables.
            layers: for each model the names of its layers.

        Raises:
            TypeError: a pattern is not a string.
            ValueError: the name of a representation is unknown, a pattern matches no layer, or some but not all layers
                have a representation in which positions count as samples.
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
        """Return the representation of a layer of a model; "flatten" if no pattern matches the layer."""
        for pattern, one in self.rules:
            if matches(pattern, model, layer):
                return one
        return "flatten"

    @property
    def names_models(self) -> bool:
        """Whether any pattern has the form "model:layer"."""
        return any(":" in pattern for pattern, _ in self.rules)

    def describe(self) -> Any:
        """Return a description for the provenance of a result: a dict from layer patterns to names of representations.

        If the only pattern is "*", return only the name of its representation.
        """
        described = {pattern: callable_name(one) if callable(one) else one for pattern, one in self.rules}
        return described["*"] if list(described) == ["*"] else described


def callable_name(function: Any) -> str:
    """Return the name of a callable, for results and messages."""
    return getattr(function, "__name__", type(function).__name__)


def n_arguments(function: Callable[..., Any]) -> int:
    """Return how many of the arguments (output, batch, mask) a callable representation gets, from 1 to 3.

    This is the number of its required positional parameters. If its signature cannot be read, the number is 1.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = sum(one.kind in positional and one.default is inspect.Parameter.empty for one in parameters)
    return min(max(required, 1), 3)
