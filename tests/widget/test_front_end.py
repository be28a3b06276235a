"""The front end is on a page once: from the notebook's models or, where a page cannot ask these, from Python."""

import json
from base64 import b64encode

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances

import simwidget as sw
from simwidget.widget.front_end import built

HOST = """({ state, snapshot, holder, finds, after, slow }) => {
    // stands in for a notebook's widget manager: it makes models, and a view for each
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    window.asked = 0;
    window.imported = 0;
    const make = URL.createObjectURL;
    const url = make(new Blob([state._esm], { type: "text/javascript" }));
    URL.createObjectURL = (blob) => ((window.imported += 1), make.call(URL, blob));
    const get_model = async (id) => {
        window.asked += 1;
        if (slow) await new Promise((done) => setTimeout(done, slow));
        if (window.asked <= after || `IPY_MODEL_${id}` !== state.front_end) throw new Error("widget model not found");
        return { get: (name) => holder[name] };
    };
    window.sent = [];
    window.models = [];
    window.open = async () => {
        const values = { ...state, snapshot: bytes(snapshot) };
        const listeners = new Map();
        const model = {
            get: (name) => values[name],
            set: (name, value) => { values[name] = value; },
            save_changes: () => {},
            on: (name, listener) => listeners.set(name, [...(listeners.get(name) ?? []), listener]),
            off: (name, listener) =>
                listeners.set(name, (listeners.get(name) ?? []).filter((one) => one !== listener)),
            send: (message) => window.sent.push(message),
            receive: (message) => (listeners.get("msg:custom") ?? []).forEach((one) => one(message, [])),
            widget_manager: finds ? { get_model } : undefined,
        };
        const widget = (await import(url)).default();
        const close = widget.initialize({ model });
        const el = document.body.appendChild(document.createElement("div"));
        window.models.push({ model, close, listeners, view: widget.render({ model, el }).catch((error) => error) });
    };
}"""


@pytest.fixture
def host(chromium, result):
    """Open a page that makes models as a notebook does; returns the page, on which `open()` makes a heatmap."""
    heatmap = sw.SimilarityHeatmap(result)
    state = heatmap.get_state()
    heatmap.close()
    shared = {"javascript": built("heatmap.js"), "css": built("heatmap.css")}
    snapshot = b64encode(state.pop("snapshot")).decode()
    state = {name: value for name, value in state.items() if not isinstance(value, bytes)}
    context, errors = chromium.new_context(), []

    def host(finds=True, after=0, slow=0, clock=False, **holder):
        page = context.new_page()
        if clock:  # time passes when the test says so
            page.clock.install()
        page.on("pageerror", lambda error: errors.append(str(error)))
        given = {
            "state": state,
            "snapshot": snapshot,
            "holder": shared | holder,
            "finds": finds,
            "after": after,
            "slow": slow,
        }
        page.evaluate(HOST, json.loads(json.dumps(given)))
        return page

    yield host
    context.close()
    assert not errors


def drawn(page, n):
    page.wait_for_function(
        "(n) => document.querySelectorAll('.simwidget-heatmap canvas[data-frame]').length === n", arg=n
    )


def test_two_heatmaps_load_it_once(host):
    page = host()
    for n in (1, 2):
        page.evaluate("open()")
        drawn(page, n)
    assert page.evaluate("imported") == 1
    assert page.locator("style[data-simwidget]").count() == 1
    assert not [one for one in page.evaluate("sent") if one["type"] == "need_front_end"]


def test_its_model_may_come_later(host):
    page = host(after=5)
    page.evaluate("open()")
    drawn(page, 1)
    assert page.evaluate("asked") == 6


@pytest.mark.parametrize("finds", [False, True])
def test_python_sends_it_to_a_page_that_cannot_find_its_model(host, finds):
    page = host(finds, after=10**9)
    page.evaluate("open()")
    waiting = page.get_by_text("Waiting for the heatmap’s code")
    waiting.wait_for()
    assert page.evaluate("sent") == [{"type": "need_front_end"}]
    files = {"type": "front_end", "javascript": built("heatmap.js"), "css": built("heatmap.css")}
    page.evaluate("(files) => models[0].model.receive(files)", files)
    drawn(page, 1)
    assert waiting.count() == 0
    assert page.evaluate("getComputedStyle(document.querySelector('.simwidget-heatmap .box')).display") == "flex"


def test_a_closed_model_asks_no_more(host):
    page = host(after=10**9, clock=True)
    page.evaluate("() => void open()")
    page.clock.run_for(350)
    page.wait_for_function("() => asked > 2", polling=50)
    page.evaluate("models[0].close()")
    asked = page.evaluate("asked")
    page.clock.run_for(60_000)
    assert page.evaluate("asked") == asked
    assert page.evaluate("[...models[0].listeners.values()].flat().length") == 0


def test_a_model_that_is_closed_while_it_looks_asks_no_more(host):
    page = host(after=10**9, slow=200, clock=True)
    page.evaluate("async () => { await open(); models[0].close(); }")
    page.clock.run_for(60_000)
    assert page.evaluate("asked") == 1
    assert page.evaluate("sent") == []
    assert page.evaluate("[...models[0].listeners.values()].flat().length") == 0


def test_python_is_asked_if_the_page_never_answers(host):
    page = host(slow=10**9)
    page.evaluate("open()")
    page.wait_for_function("() => sent.length")
    assert page.evaluate("sent") == [{"type": "need_front_end"}]
    assert page.evaluate("asked") <= 2


def test_an_error_in_the_code_is_shown_by_the_host(host):
    page = host(javascript="throw new Error('broken');")
    page.evaluate("open()")
    assert page.evaluate("models[0].view.then((error) => error.message)") == "broken"


def test_python_answers(result, monkeypatch):
    heatmap, sent = sw.SimilarityHeatmap(result), []
    monkeypatch.setattr(heatmap, "send", sent.append)
    heatmap._on_message(None, {"type": "need_front_end"}, [])
    assert sent == [{"type": "front_end", "javascript": built("heatmap.js"), "css": built("heatmap.css")}]
    heatmap.close()


def test_it_is_open_as_long_as_a_heatmap_is(result):
    ipywidgets.Widget.close_all()  # other tests may have left heatmaps open
    one, other = sw.SimilarityHeatmap(result), sw.SimilarityHeatmap(result)
    shared = one.front_end
    assert other.front_end is shared
    one.close()
    assert shared.comm is not None
    other.close()
    assert shared.comm is None
    third = sw.SimilarityHeatmap(result)
    assert third.front_end is shared
    assert shared.comm is not None
    assert third.get_state("front_end") == {"front_end": f"IPY_MODEL_{shared.model_id}"}
    third.close()


def test_a_heatmap_that_is_closed_while_another_is_opened(result, monkeypatch):
    """As garbage collection may do in the middle of any call."""
    ipywidgets.Widget.close_all()  # other tests may have left heatmaps open
    first, opened = sw.SimilarityHeatmap(result), ipywidgets.DOMWidget.open

    def open_late(self):
        first.close()
        opened(self)

    monkeypatch.setattr(ipywidgets.DOMWidget, "open", open_late)
    second = sw.SimilarityHeatmap(result)
    assert second.front_end.comm is not None
    second.close()
    assert second.front_end.comm is None


def test_it_is_not_closed_under_a_heatmap(result):
    heatmap = sw.SimilarityHeatmap(result)
    heatmap.front_end.close()
    assert heatmap.get_state("front_end") == {"front_end": f"IPY_MODEL_{heatmap.front_end.model_id}"}
    ipywidgets.Widget.close_all()
    assert heatmap.front_end.comm is None


@pytest.mark.parametrize("kind", [sw.SimilarityHeatmap, sw.SimilarityExplorer])
def test_a_closed_widget_leaves_nothing_open(result, kind):
    ipywidgets.Widget.close_all()
    before = set(_instances)
    layout = ipywidgets.Layout()
    one, other = kind(result), ipywidgets.HBox(layout=layout)
    shares = sw.SimilarityHeatmap(result)
    own, shares.layout = shares.layout, layout
    own.close()
    one.close()
    shares.close()
    assert layout.comm is not None  # the box has it, too
    other.close()
    assert set(_instances) - before == {layout.model_id, *({other.style.model_id} if hasattr(other, "style") else ())}
    layout.close()


def test_no_page_changes_it(result):
    heatmap = sw.SimilarityHeatmap(result)
    before = heatmap.front_end.get_state()
    heatmap.front_end.set_state({"javascript": "alert(1)", "css": "* { display: none }"})
    assert heatmap.front_end.get_state() == before
    heatmap.close()


def test_it_is_in_embedded_pages_once(result):
    from ipywidgets.embed import embed_data

    box = ipywidgets.HBox([sw.SimilarityHeatmap(result), sw.SimilarityHeatmap(result)])
    states = embed_data([box])["manager_state"]["state"]
    assert sum("javascript" in one["state"] for one in states.values()) == 1
    heatmaps = [one["state"] for one in states.values() if one["model_name"] == "AnyModel"]
    assert len(heatmaps) == 2
    assert all(one["_view_name"] == "AnyView" and one["threshold"] == 0.02 for one in heatmaps)  # defaults, too
    for child in box.children:
        child.close()
    box.close()
