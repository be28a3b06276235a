"""Patterns of layers: a name or glob, of "layer" or "model:layer"."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from simwidget.text.suggestions import did_you_mean


def matches(pattern: str, model: str, layer: str) -> bool:
    """Whether a pattern, a name or glob of layers or of "model:layer", matches a layer of a model."""
    layer = layer.partition("#")[0]
    return any(name == pattern or fnmatchcase(name, pattern) for name in (layer, f"{model}:{layer}"))


def check_patterns(option: str, patterns: Sequence[str], layers: Mapping[str, Sequence[str]]) -> None:
    """Raises ValueError for a pattern that matches no layer of any model."""
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
