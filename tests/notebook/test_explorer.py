"""Walking from a map into one pair of layers, in JupyterLab, while the run goes on and after it."""

import csv
import io
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from jupyter_pages import setup
from map_pages import HEATMAP, Map
from PIL import Image
from text_boxes import overlaps

import simwidget as sw

WIDGET = "widget = sw.SimilarityHeatmap(comparison); widget"


def shown(book, *cells):
    """A notebook whose second cell shows a heatmap."""
    page = book.write(*cells).open().ready().page
    book.run(0)
    book.run(1)
    page.wait_for_selector(f"{HEATMAP} canvas[data-frame]")
    return Map(page)


def ask(book, code, cell=2):
    return json.loads(book.ask(cell, f"import json; print(json.dumps({code}))"))


def ask_until(book, code, holds):
    """What a page has set reaches Python some time after the page shows it."""
    for _ in range(20):
        found = ask(book, code)
        if holds(found):
            break
    return found


def start(map_):
    map_.element.get_by_role("button", name="▶ Start").click()
    map_.page.wait_for_function("(one) => one.cells?.samples > 0", arg=map_.element.element_handle())


def running(map_):
    return map_.element.locator(".run").get_attribute("data-state") == "running"


def hold(map_, row, column):
    map_.click(row, column)
    map_.page.wait_for_function(
        "([one, names]) => [...one.querySelectorAll('.panel code')].map((x) => x.textContent).join() === names.join()",
        arg=[map_.element.element_handle(), [row, column]],
    )


LABEL = """(one, layer) => {
    const labels = [...one.querySelectorAll(".overlay .label:not([transform])")];
    return labels.find((label) => label.querySelector("title")?.textContent === layer).getBoundingClientRect().toJSON();
}"""
"""Where a row's label is, read at once: frames put others in its place."""


def test_walking_while_the_run_goes_on(book):
    map_ = shown(book, setup("600, 0.04"), WIDGET, "")
    page = map_.page
    start(map_)
    before = map_.rows
    assert "stage2.0.conv1" not in before
    row = map_.element.evaluate(LABEL, "stage2.0")
    page.mouse.click(row["x"] + row["width"] / 2, row["y"] + row["height"] / 2)
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').rows.includes('stage2.0.conv1')")
    map_.hover("stage2.0.conv1", "stage3.0")
    page.mouse.wheel(0, -500)
    page.wait_for_function("() => Number(document.querySelector('canvas.cells').dataset.window.split(' ')[0]) > 0")
    hold(map_, "stage2.0.conv1", "stage3.0")
    page.wait_for_function("(one) => one.detail?.inside?.n_compared > 0", arg=map_.element.element_handle())
    seen = map_.element.evaluate("(one) => one.detail.inside.n_compared")
    page.wait_for_function(
        "([one, seen]) => one.detail.inside.n_compared > seen", arg=[map_.element.element_handle(), seen]
    )
    map_.stage.dblclick(position=map_.at("stage2.0.conv1", "stage3.0"))
    page.wait_for_function("() => document.querySelector('canvas.cells').dataset.window.startsWith('0 ')")
    map_.element.get_by_role("button", name="± error").click()
    map_.element.get_by_role("button", name="within seed 1").click()
    page.wait_for_function("(one) => one.cells?.modelX === 'seed 1'", arg=map_.element.element_handle())
    map_.element.get_by_role("button", name="CKA − dCKA").click()
    page.wait_for_function("(one) => one.cells?.about.name === 'cka-dcka'", arg=map_.element.element_handle())
    assert running(map_)
    drawn = ask(book, "[widget.open_x, widget.measure, widget.shows, widget.view, widget.selection]")
    assert set(drawn[0]["seed 0"]) >= {"stage2.0", "stage2"}
    assert drawn[1:4] == ["cka-dcka", "errors", [1, 1]]
    assert drawn[4]["layer_x"] == "stage2.0.conv1"
    # and the other way round: Python folds, the page follows
    book.ask(2, "widget.view = (0, 1); widget.open_x = {'seed 0': []}; widget.shows = 'values'")
    page.wait_for_function("(one) => one.rows.length === 5", arg=map_.element.element_handle())
    assert running(map_)


def test_a_page_shows_again_what_holds_when_it_is_refused(book):
    map_ = shown(book, setup("12, 0.01"), "comparison.run(progress=False)\n" + WIDGET, "")
    book.ask(
        2, "from simwidget.widget import trait_checks; known = trait_checks.FROM_PAGES; trait_checks.FROM_PAGES = ()"
    )
    pressed = map_.element.locator("[aria-label='Measure'] [aria-pressed=true]")
    map_.element.get_by_role("button", name="dCKA", exact=True).click()
    # what the kernel writes after its answer is on the page after it
    drawn = ask(book, "[widget.measure, setattr(widget, 'threshold', 0.5)]")
    map_.page.wait_for_function("() => document.querySelector('.threshold').value === '0.5'")
    assert (drawn[0], pressed.text_content()) == ("cka", "CKA")
    book.ask(2, "trait_checks.FROM_PAGES = known")
    map_.element.get_by_role("button", name="dCKA", exact=True).click()
    drawn = ask(book, "[widget.measure, setattr(widget, 'threshold', 0.25)]")
    map_.page.wait_for_function("() => document.querySelector('.threshold').value === '0.25'")
    assert (drawn[0], pressed.text_content()) == ("dcka", "dCKA")


@pytest.fixture
def finished(book):
    """A run with labels that has ended; the pair was held from before its first batch."""
    map_ = shown(book, setup("12, 0.01, labelled=True"), WIDGET, "")
    book.ask(2, "widget.select('stage1.1', 'stage2.1')")
    start(map_)
    book.wait_for_state("finished")
    map_.page.wait_for_function(
        "(one) => one.detail?.inside?.n_samples > 0 && one.cells.samples === 192", arg=map_.element.element_handle()
    )
    return book, map_


def test_every_part_of_the_inspector_has_python_s_numbers(finished):
    book, map_ = finished
    book.ask(
        2,
        """import json
found = comparison.inspect("stage1.1", "stage2.1")
curves = comparison.convergence("stage1.1", "stage2.1")
print(json.dumps({
    "gram_x": found.gram_x.tolist(), "gram_y": found.gram_y.tolist(), "labels": found.labels.tolist(),
    "spectra": [found.spectrum_x.tolist(), found.spectrum_y.tolist()],
    "dimensions": [found.dimension_x, found.dimension_y], "n_compared": found.n_compared,
    "least": [[one.index, one.label, one.value, one.thumbnail.tolist()] for one in found.least],
    "most": [[one.index, one.label, one.value, one.thumbnail.tolist()] for one in found.most],
    "values": {name: [curve.values[-1], curve.stderr[-1]] for name, curve in curves.items()},
    "curve": curves["cka"].values.tolist(),
}))""",
    )
    expected = json.loads(book.text(2))
    page = map_.page
    page.wait_for_function(
        "([one, n]) => one.detail.inside.n_compared === n", arg=[map_.element.element_handle(), expected["n_compared"]]
    )
    drawn = map_.element.evaluate(
        """(one) => {
            const { inside, measures } = one.detail;
            return { ...inside, gramX: [...inside.gramX], gramY: [...inside.gramY], thumbnails: [...inside.thumbnails],
                measures };
        }"""
    )
    size = drawn["size"]
    assert np.array_equal(np.reshape(drawn["gramX"], (size, size)), np.array(expected["gram_x"], "f4"))
    assert np.array_equal(np.reshape(drawn["gramY"], (size, size)), np.array(expected["gram_y"], "f4"))
    assert drawn["labels"] == expected["labels"] == sorted(expected["labels"])
    for k, side in enumerate("xy"):
        shares = drawn[f"spectrum_{side}"]
        assert shares == pytest.approx(expected["spectra"][k][: len(shares)], rel=1e-6)
        assert drawn[f"dimension_{side}"] == pytest.approx(expected["dimensions"][k], rel=1e-6)
    h, w, c = drawn["thumbnail"]
    pictures = np.array(drawn["thumbnails"], "u1").reshape(-1, h, w, c)
    for k, one in enumerate(expected["least"] + expected["most"]):
        sample = (drawn["least"] + drawn["most"])[k]
        assert (sample["index"], sample["label"]) == (one[0], one[1])
        assert sample["value"] == pytest.approx(one[2], abs=1e-6)
        assert np.array_equal(pictures[k], np.array(one[3], "u1"))
    assert drawn["n_compared"] == 192
    for measure in drawn["measures"]:
        assert [measure["value"], measure["stderr"]] == pytest.approx(expected["values"][measure["name"]], rel=1e-9)
    (cka,) = [one for one in drawn["measures"] if one["name"] == "cka"]
    assert cka["curve"]["values"] == pytest.approx(expected["curve"], rel=1e-9)
    # and what the page says are these numbers
    panel = map_.element.locator(".panel")
    text = panel.text_content()
    written = [re.findall(r"-?\d+\.\d+", one.replace("−", "-")) for one in panel.locator("dd").all_text_contents()]
    assert [[float(one) for one in pair] for pair in written] == [
        pytest.approx(expected["values"][name], abs=6e-4) for name in ("cka", "dcka", "cka-dcka")
    ]
    for value in expected["dimensions"]:
        assert f"{value:.1f}" in text
    assert f"#{expected['least'][0][0]}" in text
    assert "192 samples" in text
    assert panel.locator("canvas").count() >= 14  # two Gram matrices and a thumbnail for each sample


def download(map_, name):
    map_.element.locator(".menu summary").click()
    with map_.page.expect_download() as waiting:
        map_.element.get_by_role("button", name=name).click()
    return waiting.value


def test_every_export_opens(finished, tmp_path):
    book, map_ = finished
    page = map_.page
    book.ask(2, f"comparison.result.save({str(tmp_path / 'python.simw')!r}); widget.threshold = 0.05")
    result = sw.SimilarityResult.load(tmp_path / "python.simw")
    page.wait_for_function("() => document.querySelector('.threshold').value === '0.05'")
    paths = {}
    for name in ("Picture (PNG)", "Picture (SVG)", "Table (CSV)", "Result file", "Web page"):
        one = download(map_, name)
        paths[name] = tmp_path / one.suggested_filename
        one.save_as(paths[name])
    assert {path.name.rpartition(".")[2] for path in paths.values()} == {"png", "svg", "csv", "simw", "html"}
    loaded = sw.SimilarityResult.load(paths["Result file"])
    for view in loaded.views():
        assert np.array_equal(loaded.matrix("dcka", view), result.matrix("dcka", view), equal_nan=True)
    table = list(csv.DictReader(paths["Table (CSV)"].read_text("utf-8").splitlines()))
    assert len(table) == result.matrix().size
    i, j = result.layers_x.index("stage1.1"), result.layers_y.index("stage2.1")
    row = table[i * len(result.layers_y) + j]
    assert (row["layer_x"], row["layer_y"]) == ("stage1.1", "stage2.1")
    for name in ("cka", "dcka", "cka-dcka"):
        assert float(row[name]) == result.matrix(name)[i, j]
        assert float(row[f"{name}_stderr"]) == result.stderr(name)[i, j]
    check_svg(paths["Picture (SVG)"], map_)
    check_png(paths["Picture (PNG)"], map_, result)
    check_page(paths["Web page"], book, result)


def check_svg(path, map_):
    root = ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    texts = ["".join(one.itertext()) for one in root.iter(f"{space}text")]
    assert any(text.startswith("CKA of seed 0 × seed 1, 192 samples") for text in texts)
    labels = map_.element.locator(".overlay .label").all_text_contents()
    assert len(labels) > 15
    assert set(labels) <= set(texts)
    (image,) = root.iter(f"{space}image")
    assert image.get("href").startswith("data:image/png;base64,")
    assert any("stroke" in one.attrib for one in root.iter(f"{space}path"))  # brackets as vectors


def check_png(path, map_, result):
    picture = np.array(Image.open(path).convert("RGB"))
    stage = map_.stage.bounding_box()
    scale = picture.shape[1] / (stage["width"] + 24)
    assert scale == pytest.approx(2, abs=0.01)
    from matplotlib import colormaps

    magma = (colormaps["magma"](np.arange(256))[:, :3] * 255).round()
    values, close = np.clip(result.matrix(), 0, 1), 0
    rows, columns = map_.rows, map_.columns
    picked = [(i, j) for i in range(0, len(rows), 3) for j in range(1, len(columns), 4)]
    for i, j in picked:
        at = map_.at(i, j)
        pixel = picture[int((at["y"] + 26) * scale), int((at["x"] + 12) * scale)]
        value = values[result.layers_x.index(rows[i]), result.layers_y.index(columns[j])]
        close += np.abs(pixel - magma[round(float(value) * 255)]).max() <= 12
    assert close > 0.8 * len(picked)  # the held pair's lines and hatching cover some


def check_page(path, book, result):
    page = book.context.new_page()
    asked = []
    page.on("request", lambda one: asked.append(one.url))
    page.goto(path.as_uri())
    page.wait_for_selector(f"{HEATMAP} canvas[data-frame]")
    other = Map(page)
    assert np.abs(other.values() - result.matrix()).max() < 1e-4
    # it opens where it was: the pair is held, and its insides are there without a kernel
    page.wait_for_function("(one) => one.detail?.inside?.n_compared === 192", arg=other.element.element_handle())
    assert other.element.locator(".panel code").all_text_contents() == ["stage1.1", "stage2.1"]
    assert page.locator(".threshold").input_value() == "0.05"
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    page.close()


def test_the_keyboard_alone_leads_to_a_pinned_pair(finished):
    book, map_ = finished
    page = map_.page
    cells = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")
    map_.element.locator("header button").first.focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.classList.contains('stage')"):
            break
    assert page.evaluate("() => document.activeElement.matches('.stage:focus-visible')")
    map_.says(".readout", "stage1.1 × stage2.1")  # where the held pair is
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    i, j = map_.rows.index("stage1.1") + 1, map_.columns.index("stage2.1") + 2
    pair = (map_.rows[i], map_.columns[j])
    map_.says(".readout", f"{pair[0]} × {pair[1]}")
    page.keyboard.press("Enter")
    map_.says(".panel", pair[1])
    page.keyboard.press("Enter")
    page.wait_for_function("(one) => one.querySelectorAll('.over .pin').length > 0", arg=map_.element.element_handle())
    drawn = ask_until(book, "[widget.pinned, widget.selection]", lambda found: found[0])
    assert [(one["layer_x"], one["layer_y"]) for one in drawn[0]] == [pair]
    # none of these keys was taken for the notebook's own
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length") == cells
    map_.stage.focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.wait_for_function("(one) => !one.querySelector('.hint').hidden", arg=map_.element.element_handle())
    state = "[widget.selection, len(widget.pinned)]"
    assert ask_until(book, state, lambda found: found == [None, 1]) == [None, 1]


def test_pinned_pairs_are_compared(finished):
    book, map_ = finished
    pairs = [("stage1.1", "stage2.1"), ("stem.0", "stem.0"), ("stage3.1", "stage1.1"), ("classifier", "classifier")]
    for x, y in pairs:
        book.ask(2, f"widget.select({x!r}, {y!r})")
        map_.says(".panel", y)
        map_.element.locator(".panel").get_by_role("button", name=re.compile("^Pin")).click()
        map_.page.wait_for_function(
            "([one, n]) => one.querySelectorAll('.over .pin').length >= n",
            arg=[map_.element.element_handle(), 1],
        )
    drawn = ask_until(book, "widget.pinned", lambda found: len(found) == len(pairs))
    assert [(one["layer_x"], one["layer_y"]) for one in drawn] == pairs
    map_.page.wait_for_function(
        "(one) => [...one.querySelectorAll('.panel .convergence path')].filter((x) => x.getAttribute('d')).length >= 8",
        arg=map_.element.element_handle(),
    )
    book.ask(2, "widget.select('stage2.1', 'stage3.1')")
    map_.says(".panel", "stage3.1")
    count, found = overlaps(map_.element)
    assert count > 60
    assert not found


HOSTILE = """
import numpy as np
from simwidget.result.cells import Cells, MeasureInfo
from simwidget.result.similarity_result import SimilarityResult
hurts = "<img src=x onerror=\\"window.hurt=1\\">"
script = "<script>window.hurt=1</script>"
names = (hurts, "x" * 300, "שכבה.ראשונה", "a.<b>bold</b>", "a.$x^2$", "=1+1", "", "..", "a b\\nc")
values = np.linspace(-0.2, 1, 81).reshape(9, 9)
values[3, 4] = np.nan
info = MeasureInfo("CKA", "similarity", 15.0, {script: {"a.<b>bold</b>": "<i>why</i>"}})
cells = Cells(values, np.full((9, 9), 0.01), np.zeros((9, 9), bool))
result = SimilarityResult(
    models=(script, "מודל " * 20), measures=("cka",), n_samples=64, n_batches=4, complete=True, notes=(hurts,),
    provenance={}, _layers=(names, names[::-1]), _info={"cka": info}, _cells={("cka", 0, 1): cells})
import simwidget as sw"""


def test_any_name_is_text_also_in_the_dark(book):
    page = book.write(HOSTILE, "sw.SimilarityHeatmap(result)").open().ready().page
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    book.run(0)
    book.run(1)
    page.wait_for_selector(f"{HEATMAP} canvas[data-frame]")
    map_ = Map(page)
    map_.open_all()
    assert map_.rows[0].startswith("<img")
    for row, column in ((0, 0), (1, 7), (2, 6), (7, 1), (8, 8), (3, 4)):
        map_.click(row, column)
        page.wait_for_function(
            """([one, ...pair]) =>
                [...one.querySelectorAll('.panel code')].map((name) => name.textContent).join() === pair.join()""",
            arg=[map_.element.element_handle(), map_.rows[row], map_.columns[column]],
        )
        map_.settle()
        count, found = overlaps(map_.element)
        assert count > 25
        assert not found
    map_.hover(3, 4)
    map_.says(".readout", "a.<b>bold</b>: <i>why</i>")
    assert map_.element.locator("img, script, i i, b b").count() == 0
    assert page.evaluate("() => window.hurt") is None
    ground = page.evaluate(
        "(one) => getComputedStyle(one.querySelector('.box')).backgroundColor", map_.element.element_handle()
    )
    assert max(int(one) for one in re.findall(r"\d+", ground)[:3]) < 60
    image = np.array(Image.open(io.BytesIO(map_.element.screenshot())).convert("L"))
    assert np.median(image) < 90
