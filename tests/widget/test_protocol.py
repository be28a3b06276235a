"""Python and TypeScript agree on what they say to each other."""

import json
import re
import subprocess
import types
import typing
from pathlib import Path

import pytest

from simwidget.widget import protocol
from simwidget.widget.exports import MIMES
from simwidget.widget.heatmap import SimilarityHeatmap
from simwidget.widget.html_page import page_of
from simwidget.widget.sources import COMMANDS
from simwidget.widget.trait_checks import PALETTES, SCALES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def typescript():
    script = Path(__file__).with_name("describe_protocol.mjs")
    # the script's own folder has no node_modules: it runs from where they are
    command = ["node", "--input-type=module", "-", str(ROOT / "js" / "state" / "model.ts")]
    run = subprocess.run(command, input=script.read_text(), cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def written(hint):
    """A Python type as TypeScript writes it."""
    plain = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
    if hint in plain:
        return plain[hint]
    if hint is bytes:
        return "DataView | Uint8Array"
    if typing.is_typeddict(hint):
        return hint.__name__
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(sorted(json.dumps(part) for part in parts))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(sorted(written(part) for part in parts))
    if origin is list:
        return f"Array<{written(parts[0])}>"
    if origin is tuple:
        return f"[{', '.join(map(written, parts))}]"
    if origin is dict:
        return f"Record<{written(parts[0])}, {written(parts[1])}>"
    raise TypeError(hint)


def test_every_type_is_the_same_on_both_sides(typescript):
    python = {name: one for name, one in vars(protocol).items() if typing.is_typeddict(one)}
    assert set(python) == set(typescript["interfaces"])
    assert len(python) > 10
    for name, one in python.items():
        fields = {field: written(hint) for field, hint in typing.get_type_hints(one).items()}
        assert fields == typescript["interfaces"][name], name


def test_the_messages_are_the_same_on_both_sides(typescript):
    for name in ("ToPython", "FromPython"):
        assert written(getattr(protocol, name)) == typescript["unions"][name]


def test_the_widget_has_the_state_and_nothing_else(result):
    widget = SimilarityHeatmap(result)
    from ipywidgets import DOMWidget

    own = set(widget.keys) - set(DOMWidget().keys) - {"_esm", "front_end", "_anywidget_id"}
    assert own == set(typing.get_type_hints(protocol.WidgetState))
    assert set(widget.axes[0]) == set(typing.get_type_hints(protocol.Axis))
    assert set(widget.run) == set(typing.get_type_hints(protocol.RunInfo))
    assert set(widget.snapshot_meta) == set(typing.get_type_hints(protocol.SnapshotMeta))
    assert set(widget.snapshot_meta["blocks"][0]) == set(typing.get_type_hints(protocol.BlockInfo))
    widget.close()


def test_choices_are_those_of_the_protocol():
    def choices(hint):
        return set(typing.get_args(hint))

    scale = typing.get_type_hints(protocol.Scale)
    assert set(COMMANDS) == choices(typing.get_type_hints(protocol.Command)["name"])
    assert set(SCALES) == choices(scale["mode"])
    assert set(PALETTES) == choices(scale["palette"])
    assert set(SimilarityHeatmap.shows.values) == choices(typing.get_type_hints(protocol.WidgetState)["shows"])
    assert set(MIMES) == choices(protocol.Format)


def test_a_page_of_its_own_has_the_same_state(result):
    page = page_of(result)
    (given,) = re.findall(r'id="given">(.*?)</script>', page, re.DOTALL)
    assert {*json.loads(given)["state"], "snapshot"} == set(typing.get_type_hints(protocol.WidgetState))
