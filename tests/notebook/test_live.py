"""The heatmap in JupyterLab while the run goes on."""

import json

import numpy as np
import pytest
from jupyter_pages import KERNELS, setup
from map_pages import Map
from matplotlib import colormaps

WATCH = """() => {
    window.pictures = new Set();
    const look = () => {
        const canvas = document.querySelector(".simwidget-heatmap canvas.cells");
        const state = document.querySelector(".simwidget-heatmap .run")?.dataset.state;
        if (canvas?.dataset.frame && state === "running") {
            const [left, top, width, height] = canvas.dataset.frame.split(" ").map(Number);
            const ratio = canvas.width / canvas.clientWidth;
            const box = [left + width * 0.1, top + height * 0.1, width * 0.8, height * 0.8];
            const { data } = canvas.getContext("2d").getImageData(...box.map((one) => Math.round(one * ratio)));
            let sum = 0;
            for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] * 65536 + data[i + 1]) % 4294967291;
            window.pictures.add(sum);
        }
        if (state !== "finished") requestAnimationFrame(look);
    };
    look();
}"""


def live_test(book, kernel="python3"):
    """Test 1: it fills while it runs, cells can be clicked meanwhile, and what it shows at the end is the result."""
    page = book.write(setup("80, 0.06"), "comparison", "", kernel=kernel).open().ready().page
    book.run(0)
    page.evaluate(WATCH)
    book.run(1)
    assert page.evaluate("() => document.querySelector('.simwidget-heatmap .run')?.dataset.state") != "finished"
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap')?.cells?.samples > 0")
    heatmap = Map(page)
    rows, columns = heatmap.rows, heatmap.columns
    for i, j in ((3, 5), (10, 2), (12, 13)):
        heatmap.click(i, j)
        page.wait_for_function(
            """([x, y]) => {
                const names = [...document.querySelectorAll(".simwidget-heatmap .panel code")];
                return names.map((one) => one.textContent).join() === [x, y].join();
            }""",
            arg=[rows[i], columns[j]],
        )
        assert page.locator(".simwidget-heatmap .run").get_attribute("data-state") == "running"
    book.wait_for_state("finished")
    assert page.evaluate("() => window.pictures.size") >= 5
    printed = book.ask(
        2,
        "import json; r = comparison.result; print(json.dumps([r.matrix('cka').tolist(), r.stderr('cka').tolist(),"
        " r.n_samples]))",
    )
    matrix, stderr, n_samples = json.loads(printed)
    matrix = np.array(matrix)
    page.wait_for_function("(n) => document.querySelector('.simwidget-heatmap').cells.samples === n", arg=n_samples)
    shown = page.evaluate(
        "() => (({ values, stderr }) => [[...values], [...stderr]])(document.querySelector('.simwidget-heatmap').cells)"
    )
    assert np.array_equal(np.array(shown[0], "f4").reshape(matrix.shape), matrix.astype("f4"))
    assert np.array_equal(np.array(shown[1], "f4").reshape(matrix.shape), np.array(stderr, "f4"))
    check_pixels(page, matrix)


def check_pixels(page, matrix):
    """Fifty cells of the canvas, read back through the palette."""
    magma = (colormaps["magma"](np.arange(256))[:, :3] * 255).round()
    rng = np.random.default_rng(0)
    cells = [
        (int(i), int(j)) for i, j in zip(rng.integers(0, matrix.shape[0], 50), rng.integers(0, matrix.shape[1], 50))
    ]
    heatmap = Map(page)
    heatmap.open_all()
    places = [heatmap.at(i, j) for i, j in cells]
    colours = page.evaluate(
        """(places) => {
            const canvas = document.querySelector(".simwidget-heatmap canvas.cells");
            const ratio = canvas.width / canvas.clientWidth;
            const pen = canvas.getContext("2d");
            const at = (x, y) => pen.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data;
            return places.map(({ x, y }) => [...at(x, y)]);
        }""",
        places,
    )
    for (i, j), colour in zip(cells, colours):
        distance = np.abs(magma - colour[:3]).sum(1)
        assert distance.min() <= 3
        assert distance.argmin() / 255 == pytest.approx(np.clip(matrix[i, j], 0, 1), abs=1 / 255)


def test_it_fills_while_the_run_goes_on(book):
    live_test(book)


def test_it_fills_in_notebook_7(book7):
    live_test(book7)


def test_the_first_five_seconds(book):
    """Axes at once, a grey map, and what it waits for; then numbers."""
    page = book.write(setup("3, 3.0"), "comparison").open().ready().page
    book.run(0)
    page.evaluate(
        """() => {
            window.begun = performance.now();
            const look = () => {
                if (document.querySelector(".simwidget-heatmap canvas[data-frame]")) window.drawn = performance.now();
                else requestAnimationFrame(look);
            };
            look();
        }"""
    )
    book.run(1)
    page.wait_for_function("() => window.drawn")
    assert page.evaluate("() => window.drawn - window.begun") < 2000
    assert page.locator(".simwidget-heatmap .where").text_content() == "Waiting for the loader"
    assert page.evaluate("() => document.querySelector('.simwidget-heatmap').cells?.samples ?? 0") == 0
    grey = page.evaluate(
        """() => {
            const canvas = document.querySelector(".simwidget-heatmap canvas.cells");
            const [left, top, width, height] = canvas.dataset.frame.split(" ").map(Number);
            const ratio = canvas.width / canvas.clientWidth;
            const at = [left + width / 4, top + height / 4].map((one) => Math.round(one * ratio));
            return [...canvas.getContext("2d").getImageData(...at, 1, 1).data];
        }"""
    )
    assert max(grey[:3]) - min(grey[:3]) < 8  # no colour
    assert grey[3] > 0
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').cells?.samples > 0")
    book.wait_for_state("finished")


def n_batches(book, cell=2):
    return int(book.ask(cell, "print(comparison.n_batches)"))


def test_pause_resume_and_stop(book):
    page = book.write(setup("400, 0.03"), "comparison", "").open().ready().page
    book.run(0)
    book.run(1)
    button = lambda name: page.locator(f".simwidget-heatmap .controls .{name}")  # noqa: E731
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap')?.cells?.samples > 100")
    button("pause").click()
    told = n_batches(book)
    book.wait_for_state("paused")
    held = n_batches(book)
    assert held <= told + 1
    # long enough for several batches: nothing moves while it holds
    assert book.ask(2, "print(comparison.wait_for_batches(comparison.n_batches + 1, timeout=0.5))") == "False\n"
    assert n_batches(book) == held
    button("resume").click()
    book.wait_for_state("running")
    assert book.ask(2, f"print(comparison.wait_for_batches({held} + 5, timeout=20))") == "True\n"
    button("stop").click()
    book.wait_for_state("stopped")
    seen = n_batches(book)
    assert held + 5 <= seen < 400
    samples, known = book.ask(
        2, "import numpy as np; print(comparison.result.n_samples, np.isfinite(comparison.result.matrix()).all())"
    ).split()
    assert (int(samples), known) == (16 * seen, "True")
    page.wait_for_function(f"() => document.querySelector('.simwidget-heatmap').cells.samples === {samples}")
    assert page.locator(".simwidget-heatmap .controls button").count() == 0


def test_the_same_widget_in_two_cells(book):
    page = (
        book.write(setup("300, 0.03"), "widget = sw.SimilarityHeatmap(comparison); widget", "widget", "")
        .open()
        .ready()
        .page
    )
    for cell in range(3):
        book.run(cell)
    views = page.locator(".simwidget-heatmap")
    assert views.count() == 2
    views.nth(0).get_by_role("button", name="▶ Start").click()
    page.wait_for_function(
        """() => {
            const views = [...document.querySelectorAll(".simwidget-heatmap")];
            return views.length === 2 && views.every((one) => one.cells?.samples > 100);
        }"""
    )
    views.nth(1).get_by_role("button", name="dCKA", exact=True).click()
    page.wait_for_function(
        """() => [...document.querySelectorAll(".simwidget-heatmap")].every(
            (one) => one.cells?.about.name === "dcka" &&
                one.querySelector(".segments [aria-pressed=true]").textContent === "dCKA")"""
    )
    Map(page, 0).click(4, 6)
    page.wait_for_function(
        """() => {
            const panels = [...document.querySelectorAll(".simwidget-heatmap .panel")];
            return panels.length === 2 && panels[0].querySelector("code")
                && panels[0].textContent === panels[1].textContent;
        }"""
    )
    assert book.ask(3, "print(widget.measure, widget.selection['layer_x'])").split()[0] == "dcka"
    views.nth(1).get_by_role("button", name="Stop").click()
    page.wait_for_function(
        """() => [...document.querySelectorAll(".simwidget-heatmap .run")].every(
            (one) => one.dataset.state === "stopped")"""
    )


def test_page_reload_during_a_run(book):
    page = book.write(setup("2000, 0.03"), "comparison", "").open().ready().page
    book.run(0)
    book.run(1)
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap')?.cells?.samples > 100")
    Map(page).click(4, 6)
    page.wait_for_selector(".simwidget-heatmap .panel .value", state="attached")
    before = page.evaluate("() => document.querySelector('.simwidget-heatmap').cells.samples")
    book.save()
    page.reload()
    page.wait_for_selector(".jp-Notebook .jp-Cell", state="attached", timeout=60_000)
    page.wait_for_function(
        """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.connectionStatus
            === 'connected'""",
        timeout=60_000,
    )
    page.wait_for_function(
        """(before) => document.querySelector('.simwidget-heatmap .run')?.dataset.state === 'running' &&
            document.querySelector('.simwidget-heatmap').cells?.samples > before""",
        arg=before,
        timeout=3000,
    )
    page.wait_for_selector(".simwidget-heatmap .panel .value", state="attached", timeout=3000)
    page.get_by_role("button", name="Stop").click()
    book.wait_for_state("stopped")


def test_a_killed_kernel_is_noticed(book):
    page = book.write(setup("2000, 0.03"), "comparison", "import os; os.kill(os.getpid(), 9)").open().ready().page
    book.run(0)
    book.run(1)
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap')?.cells?.samples > 100")
    assert page.locator(".simwidget-heatmap .heard").text_content() == ""
    book.run(2, wait=False)
    page.wait_for_function(
        "() => document.querySelector('.simwidget-heatmap .heard').textContent.startsWith('last heard at ')"
    )
    assert page.evaluate("() => document.querySelector('.simwidget-heatmap').cells.samples") > 100


def blocking_test(book, kernel="python3"):
    """Frames come while a cell keeps the main thread."""
    cells = [
        setup("120, 0.05"),
        "widget = sw.SimilarityHeatmap(comparison); widget",
        "_ = comparison.run(progress=False)",
    ]
    page = book.write(*cells, kernel=kernel).open().ready().page
    book.run(0)
    book.run(1)
    page.wait_for_selector(".simwidget-heatmap canvas[data-frame]")
    assert page.locator(".simwidget-heatmap .where").text_content() == "Not started"
    page.evaluate(WATCH)
    book.run(2, wait=False)
    page.wait_for_function("() => window.pictures.size >= 3")
    if kernel != "ipykernel6.31":  # which hears pages only between cells
        Map(page).click(4, 6)
        page.wait_for_selector(".simwidget-heatmap .panel .value", state="attached")
    assert book.count(2) is None
    book.wait_for_state("finished", timeout=60_000)
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').cells.samples === 120 * 16")


def test_a_blocking_run_still_shows_frames(book):
    blocking_test(book)


@pytest.mark.parametrize("kernel", sorted(path.parent.name for path in KERNELS.glob("*/ipykernel")) or [None])
def test_other_kernels(book, kernel):
    assert kernel is not None, f"there are no other ipykernels in {KERNELS}: make kernels"
    blocking_test(book, kernel)
    code = "import ipykernel; print(ipykernel.__version__)"
    assert f"ipykernel{book.ask(2, code)}".startswith(kernel)


@pytest.mark.parametrize("kernel", sorted(path.parent.name for path in KERNELS.glob("*/ipykernel")) or [None])
def test_live_in_other_kernels(book, kernel):
    assert kernel is not None, f"there are no other ipykernels in {KERNELS}: make kernels"
    live_test(book, kernel)
