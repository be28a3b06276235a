"""Matches layers with the patterns in the user's options: names or globs, written as "layer" or "model:layer"."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from simwidget.capture.wrappers import clean_name
from simwidget.text.suggestions import did_you_mean


def matches(pattern: str, model: str, layer: str) -> bool:
    """Whether a pattern matches a layer of a model.

    The pattern is a name or a glob, written as "layer" or "model:layer". In the argument `layer`, the suffix "#k" of a
    repeated call is ignored.
    """
    pattern, layer = clean_name(pattern), layer.partition("#")[0]
    return any(name == pattern or fnmatchcase(name, pattern) for name in (layer, f"{model}:{layer}"))


def check_patterns(option: str, patterns: Sequence[str], layers: Mapping[str, Sequence[str]]) -> None:
    """Check that each pattern of an option matches a layer.

    Args:
        option: the name of the option, for error messages.
        patterns: the patterns.
        layers: for each model the names of its layers.

    Raises:
        TypeError: a pattern is not a string.
        ValueError: a pattern matches no layer of any model; the message suggests similar names.
    """
    known = list(dict.fromkeys(layer for names in layers.values() for layer in names))
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(
                f"{option}= has the key {pattern!r}: its keys are names or globs of layers, such as '*.attn'"
            )
        if not any(matches(pattern, model, layer) for model, names in layers.items() for layer in names):
            raise ValueError(
                f"{option}= names {pattern!r}, which matches no layer that is compared.{did_you_mean(pattern, known)}"
            )
