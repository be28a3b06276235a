"""What a result says of how it was made, as text to read, and as a call that makes it again. No torch here."""

import builtins
import keyword
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simwidget.text.printable import printable

if TYPE_CHECKING:
    from simwidget.result.similarity_result import SimilarityResult

NOT_RECORDED = "not recorded"
LINE_WIDTH = 100
MAX_LABEL_WIDTH = 26
"""Letters that labels may take before their text goes on a line of its own."""
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
OPTION_TEXTS = {
    ("unbiased", True): "yes: HSIC_1, with zeroed diagonals",
    ("unbiased", False): "no: HSIC_0",
    ("average", "hsic"): "hsic: HSIC is summed over the batches, one ratio at the end",
    ("average", "cka"): "cka: the mean of the batches' own ratios",
    ("precision", "highest"): "highest: products in float32",
    ("precision", "high"): "high: factors in TF32 or bfloat16, sums in float32",
    ("max_batches", None): "no limit",
    ("batch_dim", None): "found by itself",
}
IN_OTHER_SECTIONS = {"simwidget", "torch", "python", "options", "loader", "n_batches", "n_samples", "models"}
"""What of the provenance stands under a heading of its own."""

Rows = Iterable[tuple[str, str]]


def format_report(result: "SimilarityResult") -> str:
    """See `SimilarityResult.report`."""
    about = result.provenance
    titles = " and ".join(result.title(measure) for measure in result.measures)
    models = " × ".join(result.models) if len(result.models) < 4 else f"{len(result.models)} models"
    state = "complete" if result.complete else "partial"
    parts = [
        printable(f"{titles} of {models}"),
        f"{result.n_samples:,} samples in {result.n_batches:,} batches, {state}",
        *_section("versions", [(name, _recorded(about, name)) for name in ("simwidget", "torch", "python")]),
        *_section("run", _run(about)),
        *_section("models", _models(result)),
        *_section("loader", _loader(about)),
        *_section("options", _options(about)),
        *_section("layers without numbers", _reasons(result)),
        *_section("notes", [("-", note) for note in result.notes] or [("-", "none")]),
        "",
        "to repeat",
        "",
        *compare_call(result),
    ]
    return "\n".join(parts)


# --- what was recorded -----------------------------------------------------------------------------------------------


def _run(about: Mapping[str, Any]) -> Rows:
    yield "state", _recorded(about, "state")
    yield "started", _recorded(about, "started")
    yield "time", _seconds(about["seconds"]) if "seconds" in about else NOT_RECORDED
    yield "device", _recorded(about, "device")
    for key in about:
        if key not in IN_OTHER_SECTIONS | {"state", "started", "seconds", "device"}:
            yield str(key).replace("_", " "), _recorded(about, key)


def _models(result: "SimilarityResult") -> Rows:
    recorded = _mapping(result.provenance, "models")
    for name in result.models:
        about, n = _mapping(recorded, name), len(result.layers(name))
        known = " on ".join(_recorded(about, key) for key in ("class", "device") if key in about)
        yield name, f"{known or 'class and device not recorded'}, {n:,} layer{'' if n == 1 else 's'}"
        for key in about:
            if key not in ("class", "device"):
                yield "", f"{str(key).replace('_', ' ')}: {_recorded(about, key)}"


def _loader(about: Mapping[str, Any]) -> Rows:
    loader = _mapping(about, "loader")
    return [(str(key).replace("_", " "), _recorded(loader, key)) for key in loader] or [("", NOT_RECORDED)]


def _options(about: Mapping[str, Any]) -> Rows:
    options = _mapping(about, "options")
    by_position = "positions" in options
    for key in DEFAULTS:
        if by_position or key not in ("positions", "seed"):
            value = options.get(key, NOT_RECORDED)
            meaning = OPTION_TEXTS.get((key, value)) if isinstance(value, str | bool | None) else None
            yield key, meaning or _as_text(value)
    for key in options:
        if key not in DEFAULTS:
            yield str(key), _recorded(options, key)


def _reasons(result: "SimilarityResult") -> Rows:
    """Layers without numbers, those with the same reason together."""
    for measure in result.measures:
        for model in result.models:
            together: dict[str, list[str]] = {}
            for layer, reason in result.reasons(measure, model).items():
                together.setdefault(reason, []).append(layer)
            for reason, layers in together.items():
                yield f"{result.title(measure)}, {model}", f"{reason}: {', '.join(layers)}"


# --- the call that makes it again ------------------------------------------------------------------------------------


def compare_call(result: "SimilarityResult") -> list[str]:
    """Lines of Python: the options that differ from the defaults, and comments on what cannot be told."""
    options = _mapping(result.provenance, "options")
    functions: list[str] = []
    recorded = {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    # without a measure that has a use for one, the run had no confounder, whatever was asked for
    given = {key: recorded[key] for key in DEFAULTS if key in recorded and recorded[key] not in (DEFAULTS[key], [])}
    if not result.complete and result.n_batches:
        given["max_batches"] = result.n_batches
    arguments = {key: _option_as_python(key, value, result, functions) for key, value in given.items()}
    for key in FUNCTIONS:
        named = _mapping(options, key)
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


# --- words and lines -------------------------------------------------------------------------------------------------


def _mapping(about: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What is under a key, or nothing where that is something else: a provenance may be anyone's."""
    found = about.get(key)
    return found if isinstance(found, Mapping) else {}


def _recorded(about: Mapping[str, Any], key: str) -> str:
    return _as_text(about[key]) if key in about else NOT_RECORDED


def _as_text(value: Any) -> str:
    if value is None or value == [] or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_as_text(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_as_text, value))
    return str(value)


def _seconds(value: Any) -> str:
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    if not known:
        return _as_text(value)
    minutes, seconds = divmod(value, 60)
    return f"{value:.3g} s" if not minutes else f"{minutes:,.0f} min {math.floor(seconds)} s"


def _section(title: str, rows: Rows) -> list[str]:
    """A heading and, below it, labels with their texts beside them; no heading without rows."""
    labelled = [(printable(label), printable(text)) for label, text in rows]
    if not labelled:
        return []
    if all(text == NOT_RECORDED for _, text in labelled):
        return ["", title, f"  {NOT_RECORDED}"]
    label_width = max((len(label) for label, _ in labelled if len(label) <= MAX_LABEL_WIDTH), default=0)
    indent = " " * (label_width + 4)
    lines = ["", title]
    for label, text in labelled:
        first = f"  {label:<{label_width}}  " if len(label) <= label_width else indent
        if len(label) > label_width:
            lines.append(f"  {label}")
        lines += textwrap.wrap(text, LINE_WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
    return lines
