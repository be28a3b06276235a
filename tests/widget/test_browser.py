"""What people see, in a real browser."""

import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

import simwidget as sw


def picture(page):
    """The canvas as it is on the screen, (height, width, 3)."""
    return np.array(Image.open(io.BytesIO(page.locator("canvas").screenshot())).convert("RGB"))


def centres(image, n_rows, n_columns):
    """Pixel centres of the cells: the map is what is colourful in the picture; its last row is hatched."""
    colourful = np.ptp(image.astype(int), axis=-1) > 30
    columns, rows = np.flatnonzero(colourful.mean(0) > 0.5), np.flatnonzero(colourful.mean(1) > 0.5)
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    x = left + (np.arange(n_columns) + 0.5) * (right - left) / n_columns
    y = top + (np.arange(n_rows - 1) + 0.5) * (bottom - top) / (n_rows - 1)
    return x, y


@pytest.mark.parametrize("measure", ["cka", "dcka"])
def test_pixels_are_the_palette_of_the_values(show, result, measure):
    page = show(sw.SimilarityHeatmap(result, measure=measure))
    values = result.matrix(measure)  # the last row never ran and is hatched
    magma = (colormaps["magma"](np.arange(256))[:, :3] * 255).round()
    image = picture(page)
    x, y = centres(image, *values.shape)
    rng = np.random.default_rng(0)
    for i, j in zip(rng.integers(0, values.shape[0] - 1, 50), rng.integers(0, values.shape[1], 50)):
        expected = magma[round(float(np.clip(values[i, j], 0, 1)) * 255)]
        assert np.abs(image[int(y[i]), int(x[j])] - expected).max() <= 3, (i, j)


def test_pointing_names_the_cell(show, result):
    page = show(sw.SimilarityHeatmap(result))
    values = result.matrix("cka")
    x, y = centres(picture(page), *values.shape)
    page.locator("canvas").hover(position={"x": x[11], "y": y[6]})
    readout = page.locator(".readout")
    page.wait_for_function("() => document.querySelector('.readout').textContent.includes('±')")
    text = readout.text_content()
    assert result.layers_x[6] in text
    assert result.layers_y[11] in text
    assert "<img src=x onerror=alert(1)>" in text
    assert f"CKA {values[6, 11]:.4f} ± {result.stderr('cka')[6, 11]:.4f}" in text


def test_switches_change_measure_and_models(show, result):
    page = show(sw.SimilarityHeatmap(result))
    before = picture(page)
    page.get_by_role("button", name="dCKA").click()
    page.wait_for_function("() => window.model.get('measure') === 'dcka'")
    assert page.get_by_role("button", name="dCKA").get_attribute("aria-pressed") == "true"
    after = picture(page)
    assert (before != after).any(-1).mean() > 0.2
    page.get_by_role("button", name="within seed 0").click()
    page.wait_for_function("() => window.model.get('view').join() === '0,0'")
    assert (picture(page) != after).any()


def test_the_keyboard_walks_and_missing_cells_say_why(show, result):
    page = show(sw.SimilarityHeatmap(result))
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => document.querySelector('.readout').textContent.includes('{result.layers_x[0]}')")
    assert result.layers_y[1] in page.locator("canvas").get_attribute("aria-label")
    for _ in result.layers_x:
        page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('.readout').textContent.includes('never ran')")


def test_hostile_names_are_text(show, result):
    page = show(sw.SimilarityHeatmap(result))
    assert page.locator("img").count() == 0
    assert "<img src=x onerror=alert(1)>" in page.locator(".title").text_content()


def test_closing_a_view_lets_everything_go(show, result):
    page = show(sw.SimilarityHeatmap(result))
    assert page.evaluate("() => window.listeners()") == 5
    page.evaluate("() => window.leave()")
    assert page.evaluate("() => window.listeners()") == 0
    assert page.locator(".simwidget-heatmap").count() == 0


@pytest.mark.parametrize("width", [700, 1000])
def test_nothing_overlaps_or_runs_out(show, result, width):
    page = show(sw.SimilarityHeatmap(result), width=width)
    frame = page.locator(".simwidget-heatmap").bounding_box()
    assert frame["x"] + frame["width"] <= width
    boxes = [one.bounding_box() for one in page.locator("header > *, footer > *").all()]
    for k, first in enumerate(boxes):
        assert first["x"] + first["width"] <= frame["x"] + frame["width"]
        for second in boxes[k + 1 :]:
            apart = (
                first["x"] + first["width"] <= second["x"] + 0.5
                or second["x"] + second["width"] <= first["x"] + 0.5
                or first["y"] + first["height"] <= second["y"] + 0.5
                or second["y"] + second["height"] <= first["y"] + 0.5
            )
            assert apart
