"""The notebook of one's own dashboard, served by Voila."""

import pytest
from jupyter_pages import ROOT, SLOW, Server
from map_pages import Map


@pytest.fixture
def voila(tmp_path):
    pytest.importorskip("voila")
    server = Server(tmp_path, "voila", str(ROOT / "notebooks" / "dashboard.ipynb"))
    yield server
    server.close()


def test_charts_follow_the_heatmap(voila, chromium):
    context = chromium.new_context(viewport={"width": 1500, "height": 1300})
    page = context.new_page()
    page.route("**/*", lambda one: one.continue_() if one.request.url.startswith(voila.url) else one.abort())
    page.goto(voila.url, timeout=SLOW)
    page.wait_for_selector(".simwidget-heatmap canvas[data-frame]", timeout=SLOW)
    page.wait_for_function(
        "() => document.querySelector('.simwidget-heatmap .run').dataset.state === 'finished'", timeout=SLOW
    )
    page.wait_for_selector(".bqplot path.line", state="attached")
    titles = "() => [...document.querySelectorAll('.bqplot .mainheading')].map((one) => one.textContent)"
    page.wait_for_function(f"() => ({titles})().includes('stage2.1 × stage3.0')")
    ways = "() => [...document.querySelectorAll('.bqplot path.line')].map((one) => one.getAttribute('d'))"
    before = page.evaluate(ways)
    assert sum(way is not None and "NaN" not in way for way in before) >= 6  # two lines a chart
    Map(page).click("stem.0", "stem.0")
    page.wait_for_function(f"() => ({titles})().includes('stem.0 × stem.0')")
    page.wait_for_function(f"(before) => ({ways})().join() !== before.join()", arg=before)
    assert page.locator("input[placeholder=layer]").first.input_value() == "stem.0"
    page.screenshot(path=str(voila.folder / "dashboard.png"), full_page=True)
    context.close()
