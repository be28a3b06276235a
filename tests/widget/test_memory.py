"""A page that is open for long: its memory stays flat, and a closed view leaves nothing behind."""

import pytest

FRAMES = 2000
ROUNDS = 4
FEED = """async ([first, count]) => {
    const { model } = window.simwidget;
    const [x, y] = model.get("axes");
    const size = x.layers.length * y.layers.length;
    const shape = [x.layers.length, y.layers.length];
    const about = model.get("snapshot_meta").measures[0];
    const run_id = model.get("run_id");
    const pair = { model_x: x.model, layer_x: x.layers[1], model_y: y.model, layer_y: y.layers[2] };
    for (let k = first; k < first + count; k++) {
        const values = Float32Array.from({ length: size }, (_, i) => ((i * 31 + k * 17) % 1000) / 1000);
        const bytes = () => new Uint8Array(values.slice().buffer);
        model.set("run", { ...model.get("run"), state: "running", n_batches: k, at: Date.now() / 1000 });
        model.receive({ type: "frame", run_id, seq: k, view: [0, 1], measure: about.name, shape, about, n_batches: k,
            n_samples: 16 * k }, [bytes(), bytes()]);
        const curve = { n_batches: [1, k], values: [0.5, (k % 100) / 100], stderr: [null, 0.01] };
        const gram = () => new Uint8Array(Float32Array.from({ length: 64 * 64 }, (_, i) => Math.sin(i + k)).buffer);
        const sample = (index) => ({ index, label: index % 10, value: (k % 90) / 100 });
        const twelve = Array.from({ length: 12 }, (_, i) => sample(k + i));
        const inside = { size: 64, n_samples: 64, labels: Array.from({ length: 64 }, (_, i) => i >> 3),
            spectrum_x: [0.6, 0.4], spectrum_y: [0.7, 0.3], dimension_x: 2, dimension_y: 2, n_compared: 16 * k,
            least: twelve, most: twelve, thumbnail: [28, 28, 1] };
        model.receive({ type: "detail", run_id, seq: k, pair, inside,
            measures: [{ name: about.name, value: 0.5, stderr: 0.01, curve }] },
            [gram(), gram(), new Uint8Array(24 * 28 * 28).fill(k % 255)]);
        await new Promise((done) => requestAnimationFrame(done));
    }
    return document.querySelector(".simwidget-heatmap").cells.seq;
}"""


@pytest.fixture
def devtools(show, result):
    page = show(result)
    # laid out as ever, but not painted, which takes half of the time and none of what is counted here
    page.add_style_tag(content="body { visibility: hidden; }")
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable")
    tools.send("HeapProfiler.enable")
    return page, tools


def metrics(tools):
    for _ in range(2):  # what one collection lets go may hold something else
        tools.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
    return metrics["JSHeapUsedSize"], int(metrics["JSEventListeners"]), int(metrics["Nodes"])


def test_memory_is_flat_over_thousands_of_frames(devtools):
    page, tools = devtools
    page.evaluate(
        """() => {
            const { model } = window.simwidget;
            const [x, y] = model.get("axes");
            model.set("selection", { model_x: x.model, layer_x: x.layers[1], model_y: y.model, layer_y: y.layers[2] });
        }"""
    )
    found = []
    for k in range(ROUNDS + 1):  # the first round warms up
        count = FRAMES // ROUNDS
        assert page.evaluate(FEED, [1000 + k * count, count]) == 1000 + (k + 1) * count - 1
        found.append(metrics(tools))
    heaps, listeners, nodes = zip(*found)
    assert max(heaps[1:]) < 1.1 * heaps[0], heaps
    assert max(listeners[1:]) <= listeners[0], listeners
    assert max(nodes[1:]) < 1.1 * nodes[0], nodes


def test_a_closed_view_leaves_no_listener_and_no_node(devtools):
    page, tools = devtools
    open_again = """async () => {
        const { esm, state, snapshot } = JSON.parse(document.getElementById("given").textContent);
        const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
        const { standalone } = await import(url);
        window.simwidget = standalone(document.getElementById("heatmap"), state, snapshot);
    }"""
    close = "() => { window.simwidget.close(); window.listeners = window.simwidget.model.listeners; }"
    found = []
    for _ in range(3):
        opened = metrics(tools)
        page.evaluate(FEED, [1, 20])
        page.evaluate(close)
        assert page.evaluate("() => window.listeners") == 0
        page.evaluate("() => { window.simwidget = undefined; }")
        closed = metrics(tools)
        assert closed[1] < opened[1]
        assert closed[2] < opened[2]
        found.append(closed)
        page.evaluate(open_again)
    (_, listeners, nodes) = zip(*found)
    assert listeners[2] == listeners[1] == listeners[0], listeners
    assert nodes[2] <= nodes[1] + 2, nodes
