"""Files of what a heatmap shows, from Python and for a page that asks."""

import base64
import io
import json
import re
import threading

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image
from results import made, resnet

import simwidget as sw
from simwidget.result.layer_tree import LayerTree
from simwidget.widget.exports import Appearance, file_name, style_of

PAIR = {"model_x": "seed 0", "layer_x": "stage1.0", "model_y": "seed 1", "layer_y": "stage2.0"}
OTHER = {"model_x": "seed 0", "layer_x": "stem.0", "model_y": "seed 0", "layer_y": "stage1.0"}


@pytest.fixture(scope="module")
def comparison():
    models, loader, _ = sw.demo.load()
    pair = {name: models[name] for name in ("seed 0", "seed 1")}
    comparison = sw.compare(pair, loader, max_batches=4, device="cpu")
    comparison.run(progress=False)
    return comparison


@pytest.fixture
def heatmap(comparison):
    heatmap = sw.SimilarityHeatmap(comparison)
    yield heatmap
    heatmap.close()


def given(page):
    """What a page has inside."""
    (text,) = re.findall(r'<script type="application/json" id="given">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_a_picture_is_the_map_as_the_traits_say(heatmap, tmp_path):
    heatmap.measure = "dcka"
    heatmap.threshold = 0.03
    heatmap.scale = {"mode": "range", "limits": {"dcka": (0.2, 0.9)}, "palette": "viridis"}
    heatmap.open_x = {"seed 0": ["stage1"], "seed 1": []}
    heatmap.select("stage1.0.conv1", "stage2.0")
    heatmap.export(tmp_path / "map.png", dpi=80, figsize=(6, 5))
    image = Image.open(tmp_path / "map.png")
    assert image.size == (480, 400)
    tree = LayerTree(heatmap.axes[1]["layers"])
    figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
    heatmap.result.plot(
        "dcka", ax, open_x=["stage1"], open_y=tree.default_open(), cmap="viridis", vmin=0.2, vmax=0.9, threshold=0.03,
        selection=("stage1.0.conv1", "stage2.0"),
    )  # fmt: skip
    assert "colours from 0.20 to 0.90" in ax.get_title().replace("\n", " ")
    expected = io.BytesIO()
    figure.savefig(expected, format="png", dpi=80)
    drawn, same = (np.asarray(one.convert("RGB")).astype(int) for one in (image, Image.open(expected)))
    assert np.abs(drawn - same).max() <= 2


SCALE = {"mode": "unit", "limits": {}, "palette": "cividis"}
FROZEN = {"mode": "range", "limits": {"cka": (0.5, 0.9), "cka ±": (0.0, 0.01)}, "palette": "magma"}


@pytest.mark.parametrize(
    ("state", "style"),
    [
        ({"scale": SCALE}, {"cmap": "cividis", "log": False, "vmin": None, "vmax": None, "stderr": False}),
        ({"scale": {**SCALE, "mode": "log"}}, {"log": True}),
        ({"scale": {**SCALE, "mode": "log"}, "measure": "cka-dcka"}, {"log": False, "cmap": None}),
        ({"scale": {**SCALE, "mode": "log"}, "shows": "errors"}, {"log": False, "stderr": True, "cmap": "cividis"}),
        ({"scale": FROZEN}, {"vmin": 0.5, "vmax": 0.9}),
        ({"scale": FROZEN, "shows": "errors"}, {"vmin": 0.0, "vmax": 0.01}),
        ({"scale": FROZEN, "measure": "dcka"}, {"vmin": None, "vmax": None}),
        ({"scale": {**FROZEN, "mode": "unit"}}, {"vmin": None, "vmax": None}),
        ({"measure": "cka-dcka", "shows": "errors"}, {"cmap": "magma", "stderr": True}),
        ({"threshold": 0.5}, {"threshold": 0.5}),
        ({"selection": PAIR}, {"selection": ("stage1.0", "stage2.0")}),
        ({"selection": PAIR, "view": (1, 0)}, {"selection": ("stage2.0", "stage1.0")}),
        ({"selection": PAIR, "view": (1, 1)}, {"selection": None}),
        ({"open_y": {"seed 1": ["stage1", "stem.0"]}}, {"open_y": ["stage1"]}),
        ({"open_y": {"seed 1": ["stage1"]}, "view": (1, 0)}, {"open_x": "usual"}),
        ({"open_x": {"seed 1": []}, "view": (1, 0)}, {"open_x": []}),
    ],
)
def test_every_setting_reaches_the_picture(heatmap, state, style):
    for name, value in state.items():
        setattr(heatmap, name, value)
    result = heatmap.result
    view = tuple(result.models[position] for position in heatmap.view)
    found = style_of(Appearance.of(heatmap), result, view)
    usual = LayerTree(result.layers(view[0])).default_open()
    assert {name: found[name] for name in style} == {k: usual if v == "usual" else v for k, v in style.items()}
    result.plot(heatmap.measure, view=view, **found)


def test_pictures_are_of_the_kind_that_the_ending_says(heatmap, tmp_path):
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for kind, start in starts.items():
        heatmap.export(str(tmp_path / f"map.{kind.upper()}"))
        assert (tmp_path / f"map.{kind.upper()}").read_bytes().startswith(start)


def test_numbers_are_those_of_the_result(heatmap, comparison, tmp_path):
    heatmap.view = (1, 0)
    heatmap.export(tmp_path / "shown.csv")
    comparison.result.to_csv(tmp_path / "result.csv", ("seed 1", "seed 0"))
    assert (tmp_path / "shown.csv").read_bytes() == (tmp_path / "result.csv").read_bytes()
    heatmap.export(tmp_path / "shown.simw")
    again = sw.SimilarityResult.load(tmp_path / "shown.simw")
    assert np.array_equal(again.matrix("dcka"), comparison.result.matrix("dcka"))


def test_a_page_opens_as_the_heatmap_is(heatmap, tmp_path):
    state = {
        "measure": "cka-dcka",
        "view": (1, 0),
        "shows": "errors",
        "selection": PAIR,
        "pinned": [OTHER],
        "open_x": {"seed 1": ["stage1"]},
        "open_y": {"seed 0": []},
        "scale": {"mode": "log", "limits": {"cka": [0.1, 0.8]}, "palette": "viridis"},
        "threshold": 0.004,
    }
    for name, value in state.items():
        setattr(heatmap, name, value)
    heatmap.export(tmp_path / "map.html")
    inside = given((tmp_path / "map.html").read_text("utf-8"))
    assert {name: inside["state"][name] for name in state} == {**state, "view": [1, 0]}
    assert [one["message"]["pair"] for one in inside["details"]] == [PAIR, OTHER]
    for one, pair in zip(inside["details"], (PAIR, OTHER)):
        message = one["message"]
        assert message["run_id"] == inside["state"]["run_id"]
        cka = next(measure for measure in message["measures"] if measure["name"] == "cka")
        curve = heatmap.source.convergence(pair["layer_x"], pair["layer_y"], (pair["model_x"], pair["model_y"]))["cka"]
        assert cka["value"] == pytest.approx(curve.values[-1])
        assert cka["curve"]["n_batches"] == list(curve.n_batches)
        size = message["inside"]["size"]
        gram = np.frombuffer(base64.b64decode(one["buffers"][0]), "<f4")
        assert gram.shape == (size * size,)


def test_a_page_needs_no_kernel_for_its_inspector(heatmap, chromium, tmp_path):
    heatmap.measure, heatmap.view = "dcka", (0, 1)
    heatmap.selection, heatmap.pinned = PAIR, [OTHER]
    heatmap.export(tmp_path / "map.html")
    context = chromium.new_context(viewport={"width": 1000, "height": 700}, offline=True)
    page = context.new_page()
    page.goto((tmp_path / "map.html").as_uri())
    page.wait_for_selector(".simwidget-heatmap .panel code")
    assert page.locator(".panel code").all_text_contents()[:2] == [PAIR["layer_x"], PAIR["layer_y"]]
    for what in ("convergence", "gram matrices"):  # which the saved numbers do not have
        page.wait_for_function(
            "(what) => document.querySelector('.panel').textContent.toLowerCase().includes(what)", arg=what
        )
    context.close()


def test_a_page_of_a_result_has_the_widget_s_usual_state(tmp_path):
    result = made(["a", "b.x", "b.y"], ["c"])
    heatmap = sw.SimilarityHeatmap(result)
    heatmap.export(tmp_path / "exported.html")
    result.to_html(tmp_path / "usual.html")
    exported, usual = (given((tmp_path / f"{name}.html").read_text("utf-8")) for name in ("exported", "usual"))
    assert exported["details"] == []
    for name in set(exported["state"]) - {"run", "run_id"}:
        assert exported["state"][name] == usual["state"][name], name
    shown = json.loads(json.dumps({name: getattr(heatmap, name) for name in ("scale", "threshold", "shows", "pinned")}))
    assert {name: usual["state"][name] for name in shown} == shown
    heatmap.close()


@pytest.mark.parametrize("name", ["map", "map.jpeg", ".png", "map.html.gz"])
def test_other_endings_are_refused_and_nothing_is_written(heatmap, tmp_path, name):
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf, \.csv, \.simw, \.html"):
        heatmap.export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_explorer_s_map_is_exported_as_well(comparison, tmp_path):
    explorer = sw.SimilarityExplorer(comparison)
    explorer.heatmap.export(tmp_path / "map.csv")
    assert (tmp_path / "map.csv").stat().st_size > 1000
    explorer.close()


# --- for pages -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fetch(heatmap, monkeypatch):
    """Ask for a file as a page does; the answer and its buffers."""
    answers, arrived = [], threading.Event()

    def send(content, buffers=None):
        answers.append((content, buffers))
        arrived.set()

    monkeypatch.setattr(heatmap, "send", send)

    def fetch(kind):
        arrived.clear()
        heatmap._on_message(None, {"type": "fetch", "client": "page", "id": 7, "format": kind}, [])
        assert arrived.wait(60)
        return answers.pop()

    return fetch


def test_a_page_gets_the_files_it_asks_for(heatmap, comparison, fetch, tmp_path):
    for kind, mime in (("csv", "text/csv"), ("simw", "application/octet-stream"), ("html", "text/html")):
        message, buffers = fetch(kind)
        name = f"seed_0-seed_1.{kind}"
        assert message == {"type": "fetched", "client": "page", "id": 7, "name": name, "mime": mime, "error": None}
        heatmap.export(tmp_path / name)
        expected = (tmp_path / name).read_bytes()
        (content,) = buffers
        if kind == "html":  # it says when it was made
            assert given(content.decode())["snapshot"] == given(expected.decode())["snapshot"]
        else:
            assert content == expected


@pytest.mark.parametrize("kind", ["exe", "png"])
def test_a_page_hears_why_there_is_no_file(fetch, kind):
    message, buffers = fetch(kind)
    assert message["error"] == f"this heatmap sends no {kind!r} files"
    assert (message["id"], message["name"], buffers) == (7, "", [])


def test_a_page_hears_of_what_goes_wrong(heatmap, fetch, monkeypatch):
    monkeypatch.setattr(type(heatmap.source), "snapshot", lambda self: 1 / 0)
    assert fetch("csv")[0]["error"] == "division by zero"


def test_making_a_file_holds_nothing_up(heatmap, fetch, monkeypatch):
    go_on, in_time, snapshot = threading.Event(), [], type(heatmap.source).snapshot

    def slow(self):
        in_time.append(go_on.wait(10))
        return snapshot(self)

    monkeypatch.setattr(type(heatmap.source), "snapshot", slow)
    heatmap._on_message(None, {"type": "fetch", "client": "page", "id": 1, "format": "csv"}, [])
    heatmap.measure = "dcka"  # neither the page's other messages nor Python wait for it
    heatmap._on_message(None, {"type": "need", "client": "page", "what": "frame", "pair": None}, [])
    go_on.set()
    assert fetch("csv")[0]["error"] is None
    assert all(in_time)


@pytest.mark.parametrize(
    ("models", "name"),
    [
        (["ResNet 18", "ResNet 34"], "ResNet_18-ResNet_34.svg"),
        (["../../etc/passwd"], "_.._etc_passwd.svg"),
        (["<img src=x>", "C:\\x|y"], "_img_src_x_-C_x_y.svg"),
        (["a\0b\n"], "a_b_.svg"),
        (["模型", "ü"], "模型-ü.svg"),
        (["n" * 300], "n" * 80 + ".svg"),
        (["..."], "similarity.svg"),
    ],
)
def test_file_names_are_the_models_made_safe(models, name, tmp_path):
    assert file_name(models, "svg") == name
    (tmp_path / name).write_bytes(b"")


def test_pinned_pairs_are_asked_for(heatmap, monkeypatch):
    asked = []
    monkeypatch.setattr(heatmap._publisher, "ask_details", asked.extend)
    heatmap.pinned = [PAIR, OTHER]
    assert asked == [PAIR, OTHER]


def test_a_large_picture_has_no_more_rows_than_are_open(tmp_path):
    heatmap = sw.SimilarityHeatmap(made(resnet(), resnet()))
    look = Appearance.of(heatmap)
    ax = heatmap.result.plot(**style_of(look, heatmap.result, ("x", "y")))
    assert max(ax.images[0].get_array().shape) <= 40
    heatmap.close()
