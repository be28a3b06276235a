"""The report of a result: a text that says how the result was made."""

import math
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from simwidget.result.compare_call import DEFAULTS, LINE_WIDTH, compare_call, get_mapping
from simwidget.text.printable import printable

if TYPE_CHECKING:
    from simwidget.result.similarity_result import SimilarityResult

NOT_RECORDED = "not recorded"
MAX_LABEL_WIDTH = 26
"""Largest width of the column of labels, in characters. A longer label is on a separate line above its text."""
OPTION_TEXTS = {
    ("unbiased", True): "yes: HSIC_1, with zeroed diagonals",
    ("unbiased", False): "no: HSIC_0",
    ("average", "hsic"): "hsic: HSIC is summed over the batches, one ratio at the end",
    ("average", "cka"): "cka: the mean of the batches' own ratios",
    ("precision", "highest"): "highest: products in float32",
    ("precision", "high"): "high: factors in TF32 or bfloat16, sums in float32",
    ("max_batches", None): "no limit",
    ("batch_dim", None): "detected automatically",
}
IN_OTHER_SECTIONS = {"simwidget", "torch", "python", "options", "loader", "n_batches", "n_samples", "models"}
"""Keys of a provenance that the section "run" of the report leaves out. Other parts of the report show them."""

Rows = Iterable[tuple[str, str]]
"""The content of one section of a report: pairs of a label and its text."""


def format_report(result: "SimilarityResult") -> str:
    """Return the report of a result as text; `SimilarityResult.report` documents the contents."""
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


# --- sections --------------------------------------------------------------------------------------------------------


def _run(about: Mapping[str, Any]) -> Rows:
    yield "state", _recorded(about, "state")
    yield "started", _recorded(about, "started")
    yield "time", _seconds(about["seconds"]) if "seconds" in about else NOT_RECORDED
    yield "device", _recorded(about, "device")
    for key in about:
        if key not in IN_OTHER_SECTIONS | {"state", "started", "seconds", "device"}:
            yield str(key).replace("_", " "), _recorded(about, key)


def _models(result: "SimilarityResult") -> Rows:
    recorded = get_mapping(result.provenance, "models")
    for name in result.models:
        about, n = get_mapping(recorded, name), len(result.layers(name))
        known = " on ".join(_recorded(about, key) for key in ("class", "device") if key in about)
        yield name, f"{known or 'class and device not recorded'}, {n:,} layer{'' if n == 1 else 's'}"
        for key in about:
            if key not in ("class", "device"):
                yield "", f"{str(key).replace('_', ' ')}: {_recorded(about, key)}"


def _loader(about: Mapping[str, Any]) -> Rows:
    loader = get_mapping(about, "loader")
    return [(str(key).replace("_", " "), _recorded(loader, key)) for key in loader] or [("", NOT_RECORDED)]


def _options(about: Mapping[str, Any]) -> Rows:
    options = get_mapping(about, "options")
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
    """Yield the content of the section "layers without numbers" as pairs of a label and a text.

    The label names a measure and a model. The text is a reason, followed by the names of all layers that have no values
    for this reason.
    """
    for measure in result.measures:
        for model in result.models:
            together: dict[str, list[str]] = {}
            for layer, reason in result.reasons(measure, model).items():
                together.setdefault(reason, []).append(layer)
            for reason, layers in together.items():
                yield f"{result.title(measure)}, {model}", f"{reason}: {', '.join(layers)}"


# --- values and lines as text ----------------------------------------------------------------------------------------


def _recorded(about: Mapping[str, Any], key: str) -> str:
    """Return the value of a key of the provenance as text, or "not recorded" if the key is missing."""
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
    """Return a number of seconds as text, such as "3.2 s" or "4 min 5 s".

    A value from a file may have any type. Anything but a number between -1e15 and 1e15 is returned as text without a
    unit.
    """
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    if not known:
        return _as_text(value)
    minutes, seconds = divmod(value, 60)
    return f"{value:.3g} s" if not minutes else f"{minutes:,.0f} min {math.floor(seconds)} s"


def _section(title: str, rows: Rows) -> list[str]:
    """Return the lines of one section of a report: an empty line, the title, then the labels with their texts.

    If all texts are "not recorded", a single line "not recorded" replaces all labels and texts. If there are no rows,
    return no lines, not even the title.
    """
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
