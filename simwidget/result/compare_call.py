"""Writes Python code that repeats the run behind a result: a call of `compare` with the recorded options."""

import builtins
import keyword
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simwidget.text.printable import printable

if TYPE_CHECKING:
    from simwidget.result.similarity_result import SimilarityResult

LINE_WIDTH = 100
"""Largest number of characters in a line of a report; longer lines are wrapped."""
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
"""Default values of `compare`'s options, written as in `SimilarityResult.provenance`."""
FUNCTIONS = ("inputs", "forward")
"""Options of `compare` that consist of one function for each model."""
REPRESENTATIONS = ("flatten", "mean", "cls", "last", "tokens", "positions")
"""Names of the built-in representations. Any other recorded representation is the name of a function."""


def compare_call(result: "SimilarityResult") -> list[str]:
    """Return lines of Python code that call `compare` with the options recorded in a result.

    The lines are an import of simwidget, comments, and the call. The comments say what the user must check or add. For
    example, the user must add functions, because a result records only the names of functions. The call leaves out
    options that have their default values.
    """
    options = get_mapping(result.provenance, "options")
    functions: list[str] = []
    recorded = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    # [] is recorded if no measure needs a confounder, whatever the option was: the default gives the same run
    given = {key: recorded[key] for key in DEFAULTS if key in recorded and recorded[key] not in (DEFAULTS[key], [])}
    if not result.complete and result.n_batches:
        given["max_batches"] = result.n_batches
    arguments = {key: _option_as_python(key, value, result, functions) for key, value in given.items()}
    for key in FUNCTIONS:
        named = get_mapping(options, key)
        if named:
            pairs = (f"{_as_python(model)}: {_function_name(name, functions)}" for model, name in named.items())
            arguments[key] = f"{{{', '.join(pairs)}}}"
    if options.get("batch_size"):
        arguments["batch_size"] = _function_name(options["batch_size"], functions)
    models = ", ".join(f"{_as_python(name)}: model_{k}" for k, name in enumerate(result.models, 1))
    lines = ["import simwidget as sw", ""]
    if not options:
        lines += _comment("the options were not recorded; these are the defaults")
    if not result.complete and result.n_batches:
        lines += _comment(f"the result is partial; max_batches={result.n_batches} is the number of batches it had seen")
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
    """Return the value of the option `key` as Python code, and append the names of functions in it to `functions`."""
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
    """Whether a recorded confounder name stands for a built-in choice or a layer, not for a function."""
    layers = {layer for model in result.models for own in result.layers(model) for layer in (own, f"{model}:{own}")}
    return name in ("input", "labels") or (isinstance(name, str) and ("." in name or ":" in name or name in layers))


def _function_name(name: Any, functions: list[str]) -> str:
    """Return `name` if it is a valid variable name and no built-in of Python, otherwise "your_function".

    In both cases, append `name` to the list `functions`.
    """
    functions.append(str(name))
    is_usable = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
    return name if is_usable and not hasattr(builtins, name) else "your_function"


def _as_python(value: Any) -> str:
    """Return a value as Python code; a string that contains no quotes is written in double quotes."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_as_python(key)}: {_as_python(one)}' for key, one in value.items())}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_as_python, value))}{',' if len(value) == 1 else ''})"
    written = repr(value)
    return f'"{written[1:-1]}"' if isinstance(value, str) and not {'"', "'"} & set(value) else written


def get_mapping(about: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return `about[key]` if it is a mapping, else an empty mapping.

    `about` may have been read from a file, so its values may have any type.
    """
    found = about.get(key)
    return found if isinstance(found, Mapping) else {}
