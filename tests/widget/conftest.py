"""Pages with one heatmap, opened from disk; a publisher between stand-ins."""

import pytest
from publishing import SECONDS, Page, Source

import simwidget as sw
from simwidget.widget.publisher import Publisher


@pytest.fixture
def show(chromium, tmp_path):
    """Open the standalone page of a result; requests, console errors and page errors fail the test at its end."""
    errors, contexts = [], []

    def show(result, measure=None, view="xy", dark=False, width=1000):
        path = tmp_path / f"page{len(contexts)}.html"
        result.to_html(path, measure, view=view)
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": 680}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda one: errors.append(one.url) if not one.url.startswith(("blob:", "data:")) else None)
        page.goto(path.as_uri())
        page.locator(".simwidget-heatmap canvas[data-frame]").wait_for()
        assert errors == [path.as_uri()]  # the page itself is the one request
        errors.clear()
        return page

    yield show
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture(scope="session")
def result():
    """The demo's networks, with one layer that never runs and names that are markup."""
    models, loader, _ = sw.demo.load()
    chosen = {"seed 0": models["seed 0"], "<img src=x onerror=alert(1)>": models["seed 1"]}
    chosen["seed 0"].register_module("unused", sw.demo.FashionNet().classifier)
    batch = next(iter(loader))
    layers = {name: list(sw.describe(model, batch).chosen) for name, model in chosen.items()}
    layers["seed 0"].append("unused")  # nobody is shown it without asking
    comparison = sw.compare(chosen, loader, layers=layers, max_batches=4, device="cpu")
    return comparison.run(progress=False)


@pytest.fixture
def sender(result):
    """A publisher with a page, as fast as it can."""
    page, source = Page(), Source(result)
    publisher = Publisher(page, source, frames_per_second=1000)
    yield publisher, page, source
    publisher.close()
    thread = publisher._thread
    if thread:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert not source.watchers
