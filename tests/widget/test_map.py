"""Walking the map in a page: blocks, zoom, search, filters, the error map, best matches, profiles."""

import csv
import io
import json
import re

import numpy as np
import pytest
from map_pages import Map
from matplotlib import colormaps
from PIL import Image
from results import made

from simwidget.result.layer_tree import LayerTree

MAGMA = (colormaps["magma"](np.arange(256))[:, :3] * 255).round()


@pytest.fixture
def map_(show, result):
    return Map(show(result))


def label(map_, name, side="rows"):
    """The middle of a label on the page."""
    texts = map_.element.locator(".overlay .label")
    for k in range(texts.count()):
        one = texts.nth(k)
        turned = one.get_attribute("transform") is not None
        if one.locator("title").text_content() == name and turned == (side == "columns"):
            box = one.bounding_box()
            return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    raise LookupError(f"{name} is not labelled")


def points_of(path):
    """The corners of a drawn line, (n, 2)."""
    return np.array([[float(x), float(y)] for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)])


def wait_for_rows(map_, names, side="rows"):
    map_.page.wait_for_function(
        "([one, side, names]) => one[side].join('\\n') === names.join('\\n')",
        arg=[map_.element.element_handle(), side, list(names)],
    )


def visible(names, opened):
    tree = LayerTree(names)
    return [names[entry.index] for entry in tree.entries(opened)]


def state(map_, name):
    return map_.page.evaluate("(name) => window.simwidget.model.get(name)", name)


def test_a_network_opens_folded_and_blocks_open_in_place(map_, result):
    usual = LayerTree(result.layers_x).default_open()
    assert map_.rows == visible(result.layers_x, usual)
    assert len(map_.rows) < 28
    assert "stage2.0" not in usual
    map_.page.mouse.click(*label(map_, "stage2.0"))
    wait_for_rows(map_, visible(result.layers_x, [*usual, "stage2.0"]))
    usual_y = LayerTree(result.layers_y).default_open()
    assert map_.columns == visible(result.layers_y, usual_y)  # the other side is folded apart
    assert set(state(map_, "open_x")["seed 0"]) == {*usual, "stage2.0"}
    assert state(map_, "open_y") == {}
    map_.page.mouse.click(*label(map_, "stage2.0"))  # its own output's row folds it again
    wait_for_rows(map_, visible(result.layers_x, usual))
    map_.page.mouse.click(*label(map_, "stage2.0", "columns"))
    wait_for_rows(map_, visible(result.layers_y, [*usual_y, "stage2.0"]), "columns")


def test_both_sides_fold_alike_when_asked_to(map_, result):
    map_.element.get_by_label("fold alike").check()
    map_.page.mouse.click(*label(map_, "stage2.0"))
    for side, layers in (("rows", result.layers_x), ("columns", result.layers_y)):
        wait_for_rows(map_, visible(layers, [*LayerTree(layers).default_open(), "stage2.0"]), side)


def test_brackets_fold_their_block(map_, result):
    # found and measured in one piece: a redraw makes all brackets anew
    box = map_.element.evaluate(
        """(one) => {
            const named = (bracket) => bracket.querySelector("title")?.textContent === "stage1.1";
            const { x, y, height } = [...one.querySelectorAll(".bracket")].find(named).getBoundingClientRect();
            return { x, y, height };
        }"""
    )
    map_.page.mouse.click(box["x"] + 1, box["y"] + box["height"] / 2)
    usual = LayerTree(result.layers_x).default_open()
    wait_for_rows(map_, visible(result.layers_x, [one for one in usual if one != "stage1.1"]))


def test_open_to_a_depth(map_, result):
    depth = map_.element.get_by_label("Open blocks to a depth")
    for text, opened in (
        ("all blocks folded", lambda tree: []),
        ("depth 1", lambda tree: tree.to_depth(1)),
        ("every layer", lambda tree: tree.to_depth(9)),
        ("about 25 rows", lambda tree: tree.default_open()),
    ):
        depth.select_option(label=text)
        for side, layers in (("rows", result.layers_x), ("columns", result.layers_y)):
            wait_for_rows(map_, visible(layers, opened(LayerTree(layers))), side)


def test_a_folded_block_has_the_numbers_of_its_own_output(map_, result):
    map_.element.get_by_label("Open blocks to a depth").select_option(label="all blocks folded")
    wait_for_rows(map_, visible(result.layers_x, []))
    assert "stage1.1" in map_.rows  # stage1 has no row of its own: its last layer's
    map_.hover("stage1.1", "stage3.1")
    map_.says(".readout", "±")
    i, j = result.layers_x.index("stage1.1"), result.layers_y.index("stage3.1")
    text = map_.element.locator(".readout").text_content()
    assert float(text.rpartition("CKA ")[2].partition(" ")[0]) == pytest.approx(result.matrix()[i, j], abs=1e-3)


def test_wheel_and_drag_zoom_and_pan_and_a_double_click_resets(map_, result):
    page = map_.page
    map_.open_all()
    page.evaluate("() => window.simwidget.model.set('threshold', 1)")
    before = map_.window
    assert before == [0, len(result.layers_y), 0, len(result.layers_x)]
    map_.hover(10, 20)
    under = map_.element.locator(".readout").text_content()
    page.mouse.wheel(0, -700)
    page.wait_for_function(
        "(one) => one.querySelector('canvas.cells').dataset.window.split(' ')[0] > 0",
        arg=map_.element.element_handle(),
    )
    x0, x1, y0, y1 = map_.window
    assert x1 - x0 < 0.5 * before[1]
    assert y1 - y0 < 0.5 * before[3]
    assert map_.element.locator(".readout").text_content() == under  # the cell under the pointer stays there
    # what is seen are the right cells
    page.mouse.move(2, 2)
    map_.settle()
    image = np.array(Image.open(io.BytesIO(map_.stage.screenshot())).convert("RGB"))
    values = np.clip(result.matrix(), 0, 1)
    for i in range(int(y0) + 1, int(y1) - 1, 2):
        for j in range(int(x0) + 1, int(x1) - 1, 3):
            at = map_.at(i, j)
            expected = MAGMA[round(float(values[i, j]) * 255)]
            assert np.abs(image[int(at["y"]), int(at["x"])] - expected).max() <= 3
    # drag: what was grabbed comes along, and nothing is held
    box, at = map_.stage.bounding_box(), map_.at(10, 20)
    page.mouse.move(box["x"] + at["x"], box["y"] + at["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + at["x"] + 30, box["y"] + at["y"] + 20, steps=4)
    page.mouse.up()
    map_.settle()
    assert map_.window[0] < x0
    assert map_.window[2] < y0
    moved = map_.at(10, 20)
    assert (moved["x"], moved["y"]) == (pytest.approx(at["x"] + 30, abs=1), pytest.approx(at["y"] + 20, abs=1))
    assert state(map_, "selection") is None
    map_.stage.dblclick(position=map_.at(11, 21))
    map_.settle()
    assert map_.window == before


def test_the_page_scrolls_where_there_is_nothing_to_zoom_out_of(map_):
    page = map_.page
    page.evaluate("() => { document.body.style.minHeight = '3000px'; }")
    map_.hover(3, 3)
    page.mouse.wheel(0, 300)
    page.wait_for_function("() => window.scrollY > 0")
    assert map_.window[0] == 0


def test_find_opens_the_way_to_a_layer_and_points_at_it(map_, result):
    name = "stage3.0.conv2"
    assert name not in map_.rows
    find = map_.element.get_by_label("Find a layer")
    find.fill(name)
    find.press("Enter")
    map_.says(".readout", f"{name} × {name}")
    assert name in map_.rows
    assert name in map_.columns
    find.fill("no such layer")
    find.press("Enter")
    assert find.get_attribute("aria-invalid") == "true"
    find.fill("unused")
    find.press("Enter")
    map_.says(".readout", "never ran")


def test_filters_by_type_and_by_pattern(map_, result):
    filter_ = map_.element.get_by_label("Filter layers")
    filter_.fill("conv2d")
    kinds = dict(zip(result.layers_x, result.kinds("seed 0")))
    convolutions = [name for name in result.layers_x if kinds[name] == "Conv2d"]
    assert len(convolutions) > 8
    wait_for_rows(map_, convolutions)
    filter_.fill("*.bn2 classifier")
    wait_for_rows(map_, [name for name in result.layers_x if name.endswith(".bn2") or name == "classifier"])
    wait_for_rows(map_, [name for name in result.layers_y if name.endswith(".bn2") or name == "classifier"], "columns")
    filter_.fill("nothing like it")
    wait_for_rows(map_, [])
    filter_.fill("")
    wait_for_rows(map_, visible(result.layers_x, LayerTree(result.layers_x).default_open()))


def test_errors_are_a_map_too(map_, result):
    map_.open_all()
    map_.element.get_by_role("button", name="± error").click()
    map_.says(".scale-note", "colours are standard errors")
    ticks = map_.element.locator(".ticks span").all_text_contents()
    assert ticks == ["0", "0.1"]  # five times the threshold
    map_.page.mouse.move(2, 2)
    map_.settle()
    image = np.array(Image.open(io.BytesIO(map_.stage.screenshot())).convert("RGB"))
    errors = np.clip(result.stderr() / 0.1, 0, 1)
    rng = np.random.default_rng(1)
    for i, j in zip(rng.integers(0, errors.shape[0] - 1, 40), rng.integers(0, errors.shape[1], 40)):
        at = map_.at(int(i), int(j))
        expected = MAGMA[round(float(errors[i, j]) * 255)]
        assert np.abs(image[int(at["y"]), int(at["x"])] - expected).max() <= 4, (i, j)


def test_cells_are_hatched_until_their_error_is_small(map_, result):
    map_.open_all()

    def hatched():
        return map_.element.evaluate(
            """(one) => {
                const canvas = one.querySelector("canvas.hatch");
                const { frame } = one.querySelector("canvas.cells").dataset;
                const [left, top, width, height] = frame.split(" ").map(Number);
                const ratio = canvas.width / canvas.clientWidth;
                const copy = new OffscreenCanvas(canvas.width, canvas.height);
                const pen = copy.getContext("2d");
                pen.drawImage(canvas, 0, 0);
                const [rows, columns] = [one.rows.length, one.columns.length];
                const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
                return one.rows.map((_, i) => one.columns.map((_, j) => {
                    const y0 = Math.ceil((top + i * height / rows) * ratio) + 1;
                    const y1 = Math.floor((top + (i + 1) * height / rows) * ratio) - 1;
                    const x0 = Math.ceil((left + j * width / columns) * ratio) + 1;
                    const x1 = Math.floor((left + (j + 1) * width / columns) * ratio) - 1;
                    let alpha = 0;
                    for (let y = y0; y < y1; y++)
                        for (let x = x0; x < x1; x++) alpha += data[4 * (y * canvas.width + x) + 3];
                    return alpha > 0;
                }));
            }"""
        )

    for threshold in (0.02, 0.012, 1.0):
        field = map_.element.locator(".threshold")
        field.fill(str(threshold))
        field.press("Enter")
        map_.settle()
        found = np.array(hatched())
        # the saved errors have 65,535 steps: those beside the threshold may fall on either side
        clear = np.abs(result.stderr() - threshold) > 1e-4
        assert np.array_equal(found[clear], (result.stderr() > threshold)[clear])
    assert not found.any()


def test_the_best_match_line_goes_through_the_most_similar_columns(map_, result):
    map_.open_all()
    map_.element.get_by_label("best match").check()
    map_.settle()
    path = map_.element.locator(".over .best").first.get_attribute("d")
    points = points_of(path)
    width = map_.frame[2]
    found = points[:, 0] / width * len(result.layers_y) - 0.5
    ran = ~np.isnan(result.matrix()).all(1)
    expected = np.nanargmax(result.matrix()[ran], 1)
    assert len(found) == ran.sum()
    assert np.abs(found - expected).max() < 0.01
    map_.element.get_by_role("button", name="CKA − dCKA").click()
    map_.page.wait_for_function("() => document.querySelectorAll('.over .best').length === 0")


def test_profiles_of_the_held_pair_stand_beside_the_map(map_, result):
    map_.open_all()
    map_.click(6, 11)
    map_.page.mouse.move(2, 2)
    map_.settle()
    shown = map_.element.locator(".profile .held")
    assert shown.count() == 2
    (_, _, width, height), values = map_.frame, result.matrix()
    below, beside = (points_of(path) for path in (shown.nth(0).get_attribute("d"), shown.nth(1).get_attribute("d")))
    tall = float(map_.element.locator("svg.profile").first.get_attribute("height")) - 2  # one pixel free at either end
    assert np.allclose(below[:, 0], (np.arange(values.shape[1]) + 0.5) / values.shape[1] * width, atol=0.01)
    assert np.allclose(1 - (below[:, 1] - 1) / tall, np.clip(values[6], 0, 1), atol=1e-3)
    column = values[:-1, 11]  # the last layer never ran
    assert np.allclose(beside[:, 1], (np.arange(len(column)) + 0.5) / len(values) * height, atol=0.01)
    assert np.allclose((beside[:, 0] - 1) / tall, np.clip(column, 0, 1), atol=1e-3)
    best = map_.element.locator(".profile .match").first
    assert float(best.get_attribute("cx")) == pytest.approx(
        (values[6].argmax() + 0.5) / values.shape[1] * width, abs=0.01
    )


def test_heads_open_blocks_by_keyboard(map_, result):
    page = map_.page
    map_.element.get_by_label("best match").focus()
    page.keyboard.press("Tab")
    for _ in range(map_.rows.index("stage2.0")):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    map_.says(".readout", "Enter opens stage2.0")
    head = map_.element.locator(".reader [role=rowheader]")
    assert head.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').rows.includes('stage2.0.conv1')")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    assert map_.element.locator(".focus").count() == 1


def test_a_hidden_view_stops_drawing_and_catches_up(map_, result):
    page = map_.page
    page.evaluate(
        """() => {
            const element = document.querySelector(".simwidget-heatmap");
            document.body.style.paddingTop = "3000px";
            window.drawn = 0;
            new MutationObserver(() => window.drawn++).observe(element.querySelector(".overlay"), { childList: true });
        }"""
    )
    away = """() => new Promise((done) => new IntersectionObserver(([one]) => done(one.isIntersecting))
        .observe(document.querySelector(".simwidget-heatmap")))"""
    page.wait_for_function(f"() => ({away})().then((seen) => !seen)")
    map_.settle()
    page.evaluate("() => { window.drawn = 0; window.simwidget.model.set('measure', 'dcka'); }")
    map_.settle()
    assert page.evaluate("() => window.drawn") == 0
    page.evaluate("() => { document.body.style.paddingTop = '0'; }")
    page.wait_for_function("() => document.querySelector('.segments [aria-pressed=true]').textContent === 'dCKA'")
    assert page.evaluate("() => window.drawn") > 0


def test_models_and_layers_have_any_name(show):
    """Every object of a page has a "constructor", and an entry for "__proto__" is not written like others."""
    layers = [f"constructor.{k}" for k in "abc"] + [f"__proto__.{k}" for k in "abc"] + ["toString"]
    result = made(layers, layers, ("__proto__", "constructor"), missing=["toString"])
    map_ = Map(show(result))
    assert (map_.rows, map_.columns) == (layers, layers)
    assert np.allclose(map_.values(), result.matrix(), atol=1e-4, equal_nan=True)
    map_.hover("toString", "constructor.a")
    map_.says(".readout", "CKA missing: toString: never ran")
    for side, model, name in (("rows", "__proto__", "open_x"), ("columns", "constructor", "open_y")):
        map_.page.mouse.click(*label(map_, "__proto__.c", side))  # its own block's last layer
        wait_for_rows(map_, visible(layers, ["constructor"]), side)
        kept = map_.page.evaluate("(name) => JSON.stringify(window.simwidget.model.get(name))", name)
        assert json.loads(kept) == {model: ["constructor"]}
    map_.click("constructor.a", "constructor.b")
    map_.says(".inspector", "constructor › constructor.b")
    map_.element.get_by_role("button", name="within __proto__", exact=True).click()
    map_.says(".title", "__proto__")
    map_.element.locator(".menu summary").click()
    with map_.page.expect_download() as found:
        map_.element.get_by_role("button", name="Table (CSV)").click()
    table = list(csv.DictReader(io.StringIO(found.value.path().read_text("utf-8"), newline="")))
    assert len(table) == 49
    assert float(table[1]["cka"]) == pytest.approx(result.matrix("cka", "xx")[0, 1], abs=1e-4)
