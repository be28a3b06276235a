"""A real browser for the tests of what people see."""

import json

import pytest

import simwidget as sw

PAGE = """<!doctype html><meta charset="utf-8"><title>heatmap</title>
<style id="css"></style><body style="margin:20px"><div id="widget"></div>
<script type="module">
const given = JSON.parse(document.getElementById("given").textContent);
document.getElementById("css").textContent = given.css;
const snapshot = Uint8Array.from(atob(given.snapshot), (letter) => letter.charCodeAt(0));
const state = { ...given.state, snapshot: new DataView(snapshot.buffer) };
const listeners = new Map();
const model = {
  get: (name) => state[name],
  set(name, value) { state[name] = value; for (const call of listeners.get(name) ?? []) call(); },
  on(event, call) { const name = event.slice(7); listeners.set(name, [...(listeners.get(name) ?? []), call]); },
  off(event, call) {
    const name = event.slice(7); listeners.set(name, (listeners.get(name) ?? []).filter((one) => one !== call));
  },
  save_changes() {},
};
const source = URL.createObjectURL(new Blob([given.esm], { type: "text/javascript" }));
const widget = (await import(source)).default;
window.leave = widget.render({ model, el: document.getElementById("widget") });
window.model = model;
window.listeners = () => [...listeners.values()].flat().length;
</script>"""


@pytest.fixture
def show(chromium, tmp_path):
    """Open a page with one widget; console errors and page errors fail the test at its end."""
    errors, contexts = [], []

    def show(widget, dark=False, width=1000):
        from base64 import b64encode

        state = {name: getattr(widget, name) for name in ("axes", "snapshot_meta", "measure", "view")}
        snapshot = b64encode(widget.snapshot).decode()
        given = {"state": state, "snapshot": snapshot, "esm": widget._esm, "css": widget._css}
        text = json.dumps(given).replace("<", "\\u003c")
        path = tmp_path / "page.html"
        given_tag = f'<script type="application/json" id="given">{text}</script>'
        path.write_text(PAGE.replace("<script", given_tag + "<script"))
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": 680}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector(".simwidget-heatmap canvas")
        page.wait_for_function("() => document.querySelector('canvas').width > 400")
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
    comparison = sw.compare(chosen, loader, max_batches=4, device="cpu")
    return comparison.run(progress=False)
