"""The call of `compare` that makes a result again, as Python text. No torch here."""

import builtins
import keyword
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simwidget.text.printable import printable

if TYPE_CHECKING:
    from simwidget.result.similarity_result import SimilarityResult

LINE_WIDTH = 100
DEFAULTS: dict[str, Any] = {
    "measures": ["cka", "dcka"],
    "representation": "flatten",
    "confounder": ["input"],
    "batch_dim": None,
    "unbiased": True,
    "gram_batch": 64,
    "max_batches": None,
    "average": "hsic",
    "precision": "highest",
    "positions": 256,
    "seed": 0,
}
"""The options of `compare` that are values, as a provenance has them when nothing else is asked for."""
FUNCTIONS = ("inputs", "forward")
"""The options that are functions, model by model."""
REPRESENTATIONS = ("flatten", "mean", "cls", "last", "tokens", "positions")
"""Those that have a name; any other name is that of a function."""


def compare_call(result: "SimilarityResult") -> list[str]:
    """Lines of Python: the options that differ from the defaults, and comments on what cannot be told."""
    options = get_mapping(result.provenance, "options")
    functions: list[str] = []
    recorded = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    # without a measure that has a use for one, the run had no confounder, whatever was asked for
    given = {key: recorded[key] for key in DEFAULTS if key in recorded and recorded[key] not in (DEFAULTS[key], [])}
    if not result.complete and result.n_batches:
        given["max_batches"] = result.n_batches
    arguments = {key: _option_as_python(key, value, result, functions) for key, value in given.items()}
    for key in FUNCTIONS:
        named = get_mapping(options, key)
        if named:
            pairs = (f"{_as_python(model)}: {_function_name(name, functions)}" for model, name in named.items())
            arguments[key] = f"{{{', '.join(pairs)}}}"
    models = ", ".join(f"{_as_python(name)}: model_{k}" for k, name in enumerate(result.models, 1))
    lines = ["import simwidget as sw", ""]
    if not options:
        lines += _comment("the options were not recorded; these are the defaults")
    if not result.complete and result.n_batches:
        lines += _comment(f"the result is partial; max_batches={result.n_batches} are the batches that it had seen")
    if functions:
        called = ", ".join(dict.fromkeys(map(printable, functions)))
        lines += _comment(f"of functions only the names are recorded: {called}")
    if options.get("remove_negative_eig") is True:
        lines += _comment("remove_negative_eig=True is an option of sw.DeltaCKA alone")
    lines += _comment("if the layers were chosen: layers={name: [...]}, with the names in result.layers(name)")
    return [*lines, *_call([f"{{{models}}}", "loader", *(f"{key}={value}" for key, value in arguments.items())])]


def _call(arguments: Sequence[str]) -> list[str]:
    line = f"sw.compare({', '.join(arguments)})"
    return [line] if len(line) <= LINE_WIDTH else ["sw.compare(", *(f"    {one}," for one in arguments), ")"]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, LINE_WIDTH - 4, initial_indent="# ", subsequent_indent="# ")


def _option_as_python(key: str, value: Any, result: "SimilarityResult", functions: list[str]) -> str:
    """An option's value as Python; names of functions among it are collected."""
    if key == "confounder" and isinstance(value, list):
        each = [_as_python(one) if _is_confounder(one, result) else _function_name(one, functions) for one in value]
        return each[0] if len(each) == 1 else f"[{', '.join(each)}]"
    if key == "representation":
        rules = value if isinstance(value, Mapping) else {"": value}
        made = {
            pattern: _as_python(one) if one in REPRESENTATIONS else _function_name(one, functions)
            for pattern, one in rules.items()
        }
        items = ", ".join(f"{_as_python(pattern)}: {one}" for pattern, one in made.items())
        return f"{{{items}}}" if isinstance(value, Mapping) else made[""]
    return _as_python(tuple(value) if key == "measures" and isinstance(value, list) else value)


def _is_confounder(name: Any, result: "SimilarityResult") -> bool:
    """Whether this is a choice or a layer, as far as one can tell; otherwise it is a function's name."""
    layers = {layer for model in result.models for own in result.layers(model) for layer in (own, f"{model}:{own}")}
    return name in ("input", "labels") or (isinstance(name, str) and ("." in name or ":" in name or name in layers))


def _function_name(name: Any, functions: list[str]) -> str:
    """The name itself where that can be one of the reader's own functions."""
    functions.append(str(name))
    usable = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
    return name if usable and not hasattr(builtins, name) else "your_function"


def _as_python(value: Any) -> str:
    """The value as Python, with double quotes where that takes no escape."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_as_python(key)}: {_as_python(one)}' for key, one in value.items())}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_as_python, value))}{',' if len(value) == 1 else ''})"
    written = repr(value)
    return f'"{written[1:-1]}"' if isinstance(value, str) and not {'"', "'"} & set(value) else written


def get_mapping(about: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What is under a key, or nothing where that is something else: a provenance may be anyone's."""
    found = about.get(key)
    return found if isinstance(found, Mapping) else {}
