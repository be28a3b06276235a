"""For every eye and hand: no texts that overlap, names for screen readers, no violation that axe-core finds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from map_pages import Map
from text_boxes import overlaps

import simwidget as sw
from simwidget.result.cells import Cells

ROOT = Path(__file__).parents[2]
WIDTHS = (700, 1000, 1600)


@pytest.fixture(scope="session")
def large(result):
    """As many layers as densenet121 and resnet101 have, with their names and made-up numbers."""
    models = pytest.importorskip("torchvision").models
    layers = [
        sw.SimilarityModel(make(weights=None), layers=["*"]).layer_names
        for make in (models.densenet121, models.resnet101)
    ]
    depth = [np.linspace(0, 1, len(names)) for names in layers]
    cells = {}
    for measure in ("cka", "dcka", "cka-dcka"):
        for i in range(2):
            for j in range(i, 2):
                values = np.exp(-6 * (depth[i][:, None] - depth[j]) ** 2) - 0.1
                cells[measure, i, j] = Cells(values, 0.03 * values**2, np.zeros(values.shape, dtype=bool))
    names = ("densenet121", "resnet101")
    info = {name: replace(one, reasons={}) for name, one in result._info.items()}
    return replace(result, models=names, _layers=tuple(layers), _info=info, _cells=cells, _kinds=())


@pytest.fixture(scope="session")
def axe():
    path = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    assert path.exists(), f"{path} is missing: npm ci"
    return path.read_text()


def texts(map_):
    count, found = overlaps(map_.element)
    assert not found
    return count


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_two_texts_overlap_in_the_demo(show, result, width, dark):
    map_ = Map(show(result, dark=dark, width=width))
    assert texts(map_) > 40
    map_.click("stage1.0", "stage2.1")
    map_.hover("stage2.0", "stage3.1")
    map_.settle()
    assert texts(map_) > 50
    map_.open_all()
    map_.hover(20, 30)
    map_.settle()
    texts(map_)
    map_.element.get_by_role("button", name="this range").click()
    map_.element.get_by_role("button", name="CKA − dCKA").click()
    map_.settle()
    texts(map_)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_two_texts_overlap_with_every_layer_of_large_networks(show, large, width, dark):
    map_ = Map(show(large, dark=dark, width=width))
    texts(map_)
    map_.open_all()
    assert (len(map_.rows), len(map_.columns)) == (len(large.layers_x), len(large.layers_y))
    map_.click(200, 150)
    map_.hover(201, 152)
    map_.settle()
    assert texts(map_) > 40
    map_.page.mouse.wheel(0, -900)
    map_.settle()
    texts(map_)


@pytest.fixture(scope="session")
def inspected(tmp_path_factory):
    """A page that opens with a held pair, its insides, and three pinned pairs."""
    models, loader, _ = sw.demo.load()
    comparison = sw.compare(models["seed 0"], models["seed 1"], loader, names=("seed 0", "seed 1"), device="cpu")
    widget = sw.SimilarityHeatmap(comparison)
    for x, y in (("stem.0", "stem.1"), ("stage1.1", "stage3.1"), ("classifier", "stage2.0.shortcut.0")):
        widget.select(x, y)
        widget.pinned = [*widget.pinned, widget.selection]
    widget.select("stage2.0.shortcut.1", "stage2.1")
    comparison.run(progress=False)
    path = tmp_path_factory.mktemp("inspected") / "page.html"
    widget.export(path)
    widget.close()
    return path


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_two_texts_overlap_in_the_inspector(chromium, inspected, width, dark):
    scheme = "dark" if dark else "light"
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.goto(inspected.as_uri())
    page.wait_for_selector(".simwidget-heatmap canvas[data-frame]")
    page.wait_for_selector(".panel canvas")
    map_ = Map(page)
    map_.settle()
    panel = map_.element.locator(".panel")
    seen = texts(map_)
    panel.evaluate("(one) => { one.scrollTop = one.scrollHeight / 2; }")
    map_.settle()
    texts(map_)
    panel.evaluate("(one) => { one.scrollTop = one.scrollHeight; }")
    map_.settle()
    texts(map_)
    map_.element.get_by_role("button", name="CKA − dCKA").click()
    map_.settle()
    texts(map_)
    assert seen > 60
    context.close()


def test_an_overlap_would_be_seen(show, result):
    map_ = Map(show(result))
    map_.page.evaluate("() => { document.querySelector('.where').style.marginLeft = '-40px'; }")
    map_.page.evaluate("() => document.querySelector('.overlay .label').setAttribute('y', '140')")
    map_.page.evaluate("() => document.querySelectorAll('.overlay .label')[1].setAttribute('y', '146')")
    assert overlaps(map_.element)[1]


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_serious_violation(show, result, axe, dark):
    map_ = Map(show(result, dark=dark))
    map_.click("stage1.0", "stage2.1")
    map_.element.locator(".menu summary").click()
    map_.page.evaluate(axe)
    report = map_.page.evaluate("() => axe.run('.simwidget-heatmap')")
    assert len(report["passes"]) > 10
    serious = [
        (one["id"], one["nodes"][0]["html"]) for one in report["violations"] if one["impact"] in ("serious", "critical")
    ]
    assert not serious


def test_the_accessibility_tree_names_the_focused_cell(show, result):
    map_ = Map(show(result))
    page = map_.page
    map_.element.get_by_label("best match").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    map_.says(".readout", "±")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    (grid,) = [node for node in nodes if node["role"]["value"] == "grid"]
    about = {one["name"]: one["value"] for one in grid["properties"]}
    assert about["focused"]["value"] is True
    ids = {node["backendDOMNodeId"]: node for node in nodes if "backendDOMNodeId" in node}
    active = ids[about["activedescendant"]["relatedNodes"][0]["backendDOMNodeId"]]
    assert active["role"]["value"] == "gridcell"
    i, j = result.layers_x.index(map_.rows[1]), result.layers_y.index(map_.columns[1])
    text = active["name"]["value"]
    assert text.startswith(f"seed 0 › {result.layers_x[i]} × <img src=x onerror=alert(1)> › {result.layers_y[j]}: CKA ")
    assert float(text.partition("CKA ")[2].partition(" ")[0]) == pytest.approx(result.matrix()[i, j], abs=1e-3)
