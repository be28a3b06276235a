"""What people see: the standalone page, opened from disk in a real browser without a network."""

import io
import re

import numpy as np
import pytest
from map_pages import Map
from matplotlib import colormaps
from PIL import Image

import simwidget as sw


def picture(page):
    """The map as it is on the screen, (height, width, 3)."""
    Map(page).settle()
    return np.array(Image.open(io.BytesIO(page.locator(".stage").screenshot())).convert("RGB"))


def numbers(text):
    """The value and the error that a text gives."""
    return [float(one.replace("−", "-")) for one in re.findall(r"−?\d+\.\d+", text)]


def says(page, selector, text):
    Map(page).says(selector, text)


@pytest.mark.parametrize("measure", ["cka", "dcka", "cka-dcka"])
@pytest.mark.parametrize("dark", [False, True])
def test_pixels_are_the_palette_of_the_values(show, result, measure, dark):
    page = show(result, measure, dark=dark)
    page.evaluate("() => window.simwidget.model.set('threshold', 1)")
    map_ = Map(page)
    map_.open_all()
    values = result.matrix(measure)  # the last row never ran and is hatched
    if measure == "cka-dcka":
        steps = (np.clip(values, -1, 1) + 1) / 2
        # d3's red-blue scale and matplotlib's run through the same eleven colours
        palette = (colormaps["RdBu_r"](np.arange(256))[:, :3] * 255).round()
    else:
        steps, palette = np.clip(values, 0, 1), (colormaps["magma"](np.arange(256))[:, :3] * 255).round()
    tolerance = 16 if measure == "cka-dcka" else 3
    image = picture(page)
    rng = np.random.default_rng(0)
    for i, j in zip(rng.integers(0, values.shape[0] - 1, 50), rng.integers(0, values.shape[1], 50)):
        at = map_.at(int(i), int(j))
        expected = palette[round(float(steps[i, j]) * 255)]
        assert np.abs(image[int(at["y"]), int(at["x"])] - expected).max() <= tolerance, (i, j)


def test_pointing_names_the_cell(show, result):
    page = show(result)
    Map(page).open_all()
    Map(page).hover(6, 11)
    says(page, ".readout", "±")
    text = page.locator(".readout").text_content()
    assert result.layers_x[6] in text
    assert result.layers_y[11] in text
    assert "<img src=x onerror=alert(1)>" in text
    assert numbers(text.partition("CKA ")[2]) == pytest.approx(
        [result.matrix("cka")[6, 11], result.stderr("cka")[6, 11]], abs=1.5e-4
    )


def test_a_click_holds_the_pair_with_every_measure(show, result):
    page = show(result)
    assert page.locator(".hint").is_visible()
    Map(page).open_all()
    Map(page).click(6, 11)
    says(page, ".panel", result.layers_y[11])
    names = page.locator(".panel code").all_text_contents()
    assert names == [result.layers_x[6], result.layers_y[11]]
    assert page.locator(".panel dt").all_text_contents() == ["CKA", "dCKA", "CKA − dCKA"]
    shown = [numbers(text) for text in page.locator(".panel dd").all_text_contents()]
    for measure, pair in zip(("cka", "dcka", "cka-dcka"), shown):
        expected = [result.matrix(measure)[6, 11], result.stderr(measure)[6, 11]]
        assert pair == pytest.approx(expected, abs=1.5e-4)
    assert not page.locator(".hint").is_visible()
    page.get_by_role("button", name="Let the pair go").click()
    page.locator(".hint").wait_for(state="visible")


def test_switches_change_measure_and_models(show, result):
    page = show(result)
    page.evaluate("() => window.simwidget.model.set('threshold', 1)")
    Map(page).open_all()
    before = picture(page)
    page.get_by_role("button", name="dCKA", exact=True).click()
    page.wait_for_function("() => window.simwidget.model.get('measure') === 'dcka'")
    after = picture(page)
    assert page.get_by_role("button", name="dCKA", exact=True).get_attribute("aria-pressed") == "true"
    assert (before != after).any(-1).mean() > 0.2
    page.get_by_role("button", name="within seed 0").click()
    page.wait_for_function("() => window.simwidget.model.get('view').join() === '0,0'")
    within = picture(page)
    assert (within != after).any()
    values = result.matrix("dcka", "xx")
    at = Map(page).at(3, 9)
    magma = (colormaps["magma"](np.arange(256))[:, :3] * 255).round()
    assert np.abs(within[int(at["y"]), int(at["x"])] - magma[round(float(values[3, 9]) * 255)]).max() <= 3


def test_scales_change_colours_and_say_so(show, result):
    page = show(result)
    page.evaluate("() => window.simwidget.model.set('threshold', 1)")
    Map(page).open_all()
    usual = picture(page)
    assert page.locator(".scale-note").text_content() == ""
    page.get_by_role("button", name="this range").click()
    values = result.matrix()
    says(page, ".scale-note", f"colours from {np.nanmin(values):.2f} to {np.nanmax(values):.2f}")
    pass_state = picture(page)
    assert (pass_state != usual).any(-1).mean() > 0.2
    at = Map(page).at(*map(int, np.unravel_index(np.nanargmin(values), values.shape)))
    assert pass_state[int(at["y"]), int(at["x"])].max() < 12  # the least value has the darkest colour now
    page.get_by_role("button", name="log(1 − s)").click()
    says(page, ".scale-note", "colours by log(1 − s)")
    assert page.locator(".ticks span").all_text_contents() == ["0", "0.9", "0.99", "0.999"]
    page.get_by_role("button", name="CKA − dCKA").click()
    says(page, ".ticks", "−1")
    assert page.get_by_role("button", name="log(1 − s)").is_disabled()


def test_the_keyboard_walks_holds_and_lets_go(show, result):
    page = show(result)
    Map(page).open_all()
    page.get_by_label("best match").focus()
    page.keyboard.press("Tab")
    says(page, ".readout", f"{result.layers_x[0]} × {result.layers_y[0]}")
    page.keyboard.press("ArrowRight")
    says(page, ".readout", result.layers_y[1])
    page.keyboard.press("Enter")
    says(page, ".panel", result.layers_y[1])
    for _ in result.layers_x:
        page.keyboard.press("ArrowDown")
    says(page, ".readout", "never ran")
    page.keyboard.press("Enter")
    says(page, ".panel .numbers", "unused: never ran")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator(".hint").wait_for(state="visible")


def test_hostile_names_are_text(show, result):
    page = show(result)
    assert page.locator("img").count() == 0
    assert "<img src=x onerror=alert(1)>" in page.locator(".title").text_content()
    Map(page).click(2, 2)
    says(page, ".panel", "<img src=x onerror=alert(1)>")
    assert page.locator("img").count() == 0


def test_closing_a_view_lets_everything_go(show, result):
    page = show(result)
    assert page.evaluate("() => window.simwidget.model.listeners") > 5
    styles = page.evaluate("() => document.head.querySelectorAll('style').length")
    page.evaluate("() => window.simwidget.close()")
    assert page.evaluate("() => window.simwidget.model.listeners") == 0
    assert page.locator(".simwidget-heatmap").count() == 0
    assert page.evaluate("() => document.head.querySelectorAll('style').length") == styles - 1


def test_every_pair_of_many_models(show):
    models, loader, _ = sw.demo.load()
    result = sw.compare(models, loader, layers=["stage?"], max_batches=4, device="cpu").run(False)
    page = show(result)
    assert page.get_by_label("Model of the rows").locator("option").all_text_contents() == list(models)
    page.get_by_label("Model of the rows").select_option("untrained")
    page.get_by_label("Model of the columns").select_option("seed 1")
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').cells.modelX === 'untrained'")
    shown = page.evaluate("() => [...document.querySelector('.simwidget-heatmap').cells.values]")
    expected = result.matrix("cka", ("untrained", "seed 1"))
    assert np.abs(np.reshape(shown, expected.shape) - expected).max() < 1e-5


@pytest.mark.parametrize("width", [700, 820, 1000])
def test_nothing_overlaps_or_runs_out(show, result, width):
    page = show(result, width=width)
    Map(page).click(6, 11)
    says(page, ".panel", Map(page).columns[11])
    frame = page.locator(".simwidget-heatmap").bounding_box()
    assert frame["x"] + frame["width"] <= width
    assert page.evaluate(
        """() => [".panel", "header", ".run", "footer"].map((one) => document.querySelector(one))
            .every((one) => one.scrollWidth <= one.clientWidth)"""
    )
    for group in ("header > *", ".run > *", "footer .legend > *, footer .readout", ".numbers > *", "main > *"):
        boxes = [one.bounding_box() for one in page.locator(group).all() if one.is_visible()]
        assert boxes
        for k, first in enumerate(boxes):
            assert first["x"] + first["width"] <= frame["x"] + frame["width"]
            for second in boxes[k + 1 :]:
                apart = (
                    first["x"] + first["width"] <= second["x"] + 0.5
                    or second["x"] + second["width"] <= first["x"] + 0.5
                    or first["y"] + first["height"] <= second["y"] + 0.5
                    or second["y"] + second["height"] <= first["y"] + 0.5
                )
                assert apart, group


def test_text_stands_out_from_its_ground(show, result):
    """Contrast of at least 4.5 to 1 for the page's own text, in both themes."""
    for dark in (False, True):
        page = show(result, dark=dark)
        ratios = page.evaluate(
            """() => {
                const light = (css) => {
                    const [r, g, b] = css.match(/[\\d.]+/g).map((v) => (css.startsWith("color(") ? +v : v / 255))
                        .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                };
                const ground = (one) => {
                    for (let at = one; at; at = at.parentElement) {
                        const { backgroundColor: c } = getComputedStyle(at);
                        if (!c.endsWith(" 0)") && c !== "transparent") return c;
                    }
                    return "rgb(255, 255, 255)";
                };
                const all = [".title", ".segments button:not(:disabled)", ".where", ".pace", ".hint", ".readout"];
                return all.map((one) => document.querySelector(one)).map((one) => {
                    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
                    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                });
            }"""
        )
        assert min(ratios) >= 4.5, ratios


def test_a_view_hides_the_picture_below_it_and_nothing_around_itself(show, result):
    """As in JupyterLab, where an output may be inside the output of another cell."""
    page = show(result)
    page.evaluate(
        """() => {
            const output = (...inside) => {
                const child = document.createElement("div"), own = document.createElement("div");
                child.className = "jp-OutputArea-child";
                own.className = "jp-OutputArea-output";
                own.append(...inside);
                child.append(own);
                return child;
            };
            const still = document.createElement("div");
            still.className = "simwidget-still simwidget-still-page";
            still.textContent = "picture";
            const view = document.querySelector(".simwidget-heatmap");
            const place = view.parentElement;
            place.append(output("text before", output(view), output(still)));
        }"""
    )
    assert page.locator(".simwidget-heatmap").is_visible()
    assert page.get_by_text("text before").is_visible()
    assert not page.get_by_text("picture", exact=True).is_visible()
    heights = page.evaluate(
        "() => [...document.querySelectorAll('.jp-OutputArea-child')].map((one) => one.offsetHeight)"
    )
    assert heights[0] > heights[1] > 300
    assert heights[2] == 0
