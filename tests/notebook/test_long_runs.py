"""What happens to pages in hours, in seconds: kernels restart, tabs close, links break. The picture ends right.

Or the page says since when nothing was heard. A reload during a run and a killed kernel are in `test_live.py`.
"""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from jupyter_pages import SLOW, VIEWPORT, Notebook, setup
from map_pages import HEATMAP, Map
from tcp_link import Link

LONG = "100_000, 0.03"
WRITES = """
torch.set_num_threads(1)  # a busy machine then slows the run less
# pages without a heatmap can tell how far it is
def write(path="how-far"):
    with open(path, "w") as file:
        file.write(str(comparison.n_batches))
_ = comparison.watch(write)
"""


def begun(book, options=LONG):
    """A notebook with a run that goes on in its second cell, seen by a page."""
    book.write(setup(options) + WRITES, "comparison", "").open().ready()
    book.run(0)
    book.run(1)
    wait_for_samples(book.page, 100)
    return book.page


def wait_for_samples(page, more_than, timeout=SLOW):
    page.wait_for_function(
        """(n) => document.querySelector('.simwidget-heatmap .run')?.dataset.state === 'running' &&
            document.querySelector('.simwidget-heatmap').cells?.samples > n""",
        arg=more_than,
        timeout=timeout,
    )
    return samples(page)


def samples(page):
    return page.evaluate("() => document.querySelector('.simwidget-heatmap').cells.samples")


def wait_for_run(book, more_than):
    """Until the run is past some samples, whether any page is told or not; asked from a page without a heatmap."""
    page = book.context.new_page()
    page.goto(f"{book.server.url}/static/logo/logo.png")
    page.wait_for_function(
        "(n) => fetch('/files/how-far', { cache: 'no-store' }).then((it) => it.text()).then((it) => Number(it) > n)",
        arg=more_than / 16,
        timeout=SLOW,
    )
    page.close()


def stop(page, book):
    page.get_by_role("button", name="Stop").click()
    book.wait_for_state("stopped", page=page)


def check(book, *pages, cell=2, exactly=True):
    """Every page shows Python's numbers; those that come from the saved state are a little rounded."""
    printed = book.ask(
        cell,
        "import json; r = comparison.result; print(json.dumps([r.matrix('cka').tolist(), r.stderr('cka').tolist(),"
        " r.n_samples]))",
    )
    *expected, n_samples = json.loads(printed)
    for page in pages or [book.page]:
        page.wait_for_function(
            "(n) => document.querySelector('.simwidget-heatmap').cells?.samples === n", arg=n_samples
        )
        shown = page.evaluate(
            """() => (({ values, stderr }) => [[...values], [...stderr]])(
                document.querySelector('.simwidget-heatmap').cells)"""
        )
        for ours, theirs in zip(shown, expected):
            ours, theirs = np.array(ours, "f4").reshape(np.shape(theirs)), np.array(theirs, "f4")
            assert np.allclose(ours, theirs, rtol=0, atol=0 if exactly else 1e-4)
        assert page.locator(f"{HEATMAP} .heard").text_content() == ""
    return n_samples


def wait_until_silent(page, timeout=SLOW):
    page.wait_for_function(
        "() => document.querySelector('.simwidget-heatmap .heard').textContent.startsWith('last heard at ')",
        timeout=timeout,
    )
    return page.locator(f"{HEATMAP} .heard").text_content()


def pixels(page):
    return page.evaluate("() => document.querySelector('.simwidget-heatmap canvas.cells').toDataURL()")


def test_a_tab_that_was_closed_finds_the_run_where_it_is(book):
    page = begun(book)
    Map(page).click(4, 6)
    page.wait_for_selector(f"{HEATMAP} .panel .value", state="attached")
    seen = samples(page)
    book.save()
    page.close()
    wait_for_run(book, more_than=seen + 50 * 16)
    book = Notebook(book.server, book.context, book.name).open()
    wait_for_samples(book.page, seen + 50 * 16)
    book.page.wait_for_selector(f"{HEATMAP} .panel .value", state="attached")
    stop(book.page, book)
    assert check(book) > seen + 50 * 16


def test_a_tab_that_was_closed_finds_a_run_that_has_ended(book):
    page = begun(book, "150, 0.03")
    book.save()
    page.close()
    wait_for_run(book, more_than=149 * 16)
    book = Notebook(book.server, book.context, book.name).open()
    book.wait_for_state("finished", timeout=SLOW)
    assert check(book, exactly=False) == 150 * 16


def test_a_restarted_kernel_is_told_of_and_the_picture_stays(book):
    page = begun(book)
    page.evaluate("() => void window.jupyterapp.commands.execute('kernelmenu:restart')")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    assert wait_until_silent(page).endswith(", the kernel was restarted")
    held, seen = pixels(page), samples(page)
    assert page.locator(f"{HEATMAP} .controls button").count() == 0
    Map(page).click(4, 6)
    Map(page).says(".panel .note", "The kernel was restarted")
    assert "CKA" in page.locator(f"{HEATMAP} .panel .numbers").text_content()  # the picture's number is still known
    book.ready()
    assert book.ask(2, "print('comparison' in dir())") == "False\n"
    assert (pixels(page), samples(page)) == (held, seen)
    # the same cells again: a live view in the place of the old one
    page.evaluate(
        "(code) => window.jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource(code)",
        setup("60, 0.03"),
    )
    book.run(0)
    book.run(1)
    wait_for_samples(page, 0)
    assert page.locator(HEATMAP).count() == 1
    Map(page).click(5, 3)
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').detail?.inside?.n_compared > 0")
    book.wait_for_state("finished")
    assert check(book) == 60 * 16


def test_a_second_browser_on_the_same_notebook(book, chromium):
    page = begun(book)
    book.save()
    context = chromium.new_context(viewport=VIEWPORT)
    try:
        second = Notebook(book.server, context, book.name).open()
        wait_for_samples(second.page, samples(page))
        names = """([x, y]) => [...document.querySelectorAll('.simwidget-heatmap .panel code')]
            .slice(0, 2).map((one) => one.textContent).join() === [x, y].join()
            && document.querySelector('.simwidget-heatmap').detail?.inside?.n_compared > 0"""
        for one, (row, column) in ((page, (4, 6)), (second.page, (7, 2)), (page, (1, 9))):
            map_ = Map(one)
            pair = [map_.rows[row], map_.columns[column]]
            map_.click(row, column)
            for each in (page, second.page):
                each.wait_for_function(names, arg=pair)
        # one folds and leaves; the other goes on
        before = samples(page)
        second.page.get_by_label("Open blocks to a depth").select_option(label="every layer")
        page.wait_for_function("() => document.querySelector('.simwidget-heatmap').rows.length === 37")
        wait_for_samples(page, before)
        stop(second.page, second)
        book.wait_for_state("stopped")
        check(book, page, second.page)
    finally:
        context.close()
    Map(page).click(3, 3)
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').detail?.inside?.n_compared > 0")


def test_one_of_two_browsers_leaves_during_the_run(book, chromium):
    page = begun(book)
    book.save()
    context = chromium.new_context(viewport=VIEWPORT)
    second = Notebook(book.server, context, book.name).open()
    wait_for_samples(second.page, samples(page))
    context.close()
    seen = samples(page)
    wait_for_samples(page, seen + 50 * 16, timeout=15_000)
    assert page.locator(f"{HEATMAP} .heard").text_content() == ""
    stop(page, book)
    check(book)


@pytest.fixture
def linked(book):
    """The notebook over a link of its own, which can be cut and made slow."""
    link = Link(int(book.server.url.rpartition(":")[2]))
    server = SimpleNamespace(url=link.url, folder=book.server.folder, application=book.server.application)
    other = Notebook(server, book.context, book.name, spares=book.spares)
    book.page.close()
    lost = other.page.get_by_role("dialog", name="Server Connection Error")
    other.page.add_locator_handler(lost, lambda one: one.get_by_role("button").last.click())
    yield other, link, book
    link.close()


def wait_seconds(page, seconds):
    page.evaluate("() => { window.since = performance.now(); }")
    page.wait_for_function(
        "(seconds) => performance.now() - window.since > 1000 * seconds", arg=seconds, timeout=1000 * seconds + SLOW
    )


@pytest.mark.parametrize("how", ["breaks", "stalls"])
def test_twenty_seconds_without_a_network(linked, how):
    """A link that breaks ends JupyterLab's connection; offline, the browser keeps it open and nothing gets through."""
    book, link, _ = linked
    page = begun(book)
    Map(page).click(4, 6)
    page.wait_for_selector(f"{HEATMAP} .panel .value", state="attached")
    if how == "breaks":
        link.cut()
    else:
        book.context.set_offline(True)
    wait_seconds(page, 20)
    wait_until_silent(page)
    held, seen = pixels(page), samples(page)
    link.mend()
    book.context.set_offline(False)
    wait_for_samples(page, seen + 200 * 16)  # what it missed, at the least
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap .heard').textContent === ''")
    assert pixels(page) != held
    stop(page, book)
    check(book)


def test_a_run_that_ends_while_there_is_no_network(linked):
    book, link, beside = linked
    page = begun(book, "200, 0.03")
    link.cut()
    wait_for_run(beside, more_than=199 * 16)
    wait_until_silent(page)
    link.mend()
    book.wait_for_state("finished", timeout=SLOW)
    assert check(book, exactly=False) == 200 * 16


def test_a_slow_link_shows_fewer_frames_and_no_old_ones(linked):
    book, link, beside = linked
    page = begun(book)
    link.rate = 6_000  # a frame of this map, with all that comes with it, takes two seconds and more
    page.evaluate(
        """() => {
            const heatmap = document.querySelector(".simwidget-heatmap");
            window.frames = new Set();
            const look = () => {
                window.frames.add(heatmap.cells.seq);
                requestAnimationFrame(look);
            };
            look();
        }"""
    )
    wait_seconds(page, 40)
    assert 4 <= page.evaluate("() => window.frames.size") <= 40
    age = (int((beside.path.parent / "how-far").read_text()) - samples(page) / 16) * 0.03
    assert 0 <= age < 8  # seconds, of the forty
    link.rate = None
    stop(page, book)
    check(book)
