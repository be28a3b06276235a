"""Saved and opened again: the last frame is there, whatever the settings."""

import io
import json
import subprocess
import sys
from base64 import b64decode

import nbformat
import numpy as np
import pytest
from jupyter_pages import Notebook, setup
from PIL import Image

import simwidget as sw
from simwidget.widget.still_output import picture_of


def finished(book):
    """Run to the end, save, and shut the kernel down; what the result was."""
    page = book.write(setup("12, 0.01"), "comparison", "").open().ready().page
    book.run(0)
    book.run(1)
    book.wait_for_state("finished")
    file = book.path.with_suffix(".simw")
    book.ask(2, f"comparison.result.save({str(file)!r})")
    result = sw.SimilarityResult.load(file)
    page.wait_for_function(
        """(n) => JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets[1].model.outputs.toJSON())
            .includes(`${n.toLocaleString("en")} samples`)""",
        arg=result.n_samples,
    )
    assert not page.locator(".simwidget-still").is_visible()
    book.save()
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()
    return result


def check_still(page, result):
    """The still output is seen, and it is the picture of the last frame."""
    image = page.locator(".simwidget-still img")
    image.wait_for(state="visible")
    assert f"{result.n_samples:,} samples" in image.get_attribute("alt")
    page.wait_for_function("() => document.querySelector('.simwidget-still img').naturalWidth > 400")
    shown = b64decode(image.get_attribute("src").partition("base64,")[2])
    assert np.array_equal(pixels(shown), pixels(picture_of(result)))


def pixels(png):
    return np.array(Image.open(io.BytesIO(png)))


def again(book):
    """The notebook in a new page."""
    return Notebook(book.server, book.context, book.name)


def test_default_settings_and_a_fresh_kernel(book):
    result = finished(book)
    other = again(book).open().ready()
    check_still(other.page, result)
    assert other.page.locator(".simwidget-heatmap").count() == 0


def test_no_kernel(book):
    result = finished(book)
    saved = nbformat.read(book.path, 4)
    saved.metadata["kernelspec"] = {"name": "not-there", "display_name": "Not there", "language": "python"}
    nbformat.write(saved, book.path)
    other = again(book)
    page = other.page
    page.goto(f"{book.server.url}/lab/tree/{book.name}?reset")
    page.get_by_role("dialog").get_by_text("Select Kernel", exact=True).first.wait_for(timeout=60_000)
    page.locator(".jp-Dialog select").select_option("null")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    page.wait_for_selector(".jp-Dialog", state="detached")
    check_still(page, result)
    assert not page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel")


@pytest.fixture
def saving_book(book):
    """A notebook that is saved with the state of its widgets, in a page that has been opened with this setting."""
    folder = book.server.settings / "@jupyter-widgets" / "jupyterlab-manager"
    folder.mkdir(parents=True, exist_ok=True)
    setting = folder / "plugin.jupyterlab-settings"
    setting.write_text('{"saveState": true}')
    yield again(book)
    setting.unlink()
    book.spares.renew_page()


def saved_models(book):
    """The size of each widget model in the file, in bytes, by its identifier."""
    saved = nbformat.read(book.path, 4).metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    return {model: len(json.dumps(one)) for model, one in saved.items()}


def test_saved_widget_state_and_a_fresh_kernel(saving_book):
    result = finished(saving_book)
    assert saved_models(saving_book)
    page = again(saving_book).open().ready().page
    page.wait_for_function(
        "(n) => document.querySelector('.simwidget-heatmap')?.cells?.samples === n", arg=result.n_samples
    )
    shown = page.evaluate("() => [...document.querySelector('.simwidget-heatmap').cells.values]")
    assert np.abs(np.reshape(shown, (37, 37)) - result.matrix("cka")).max() < 1e-4
    page.get_by_role("button", name="dCKA", exact=True).click()
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap').cells.about.name === 'dcka'")
    shown = page.evaluate("() => [...document.querySelector('.simwidget-heatmap').cells.stderr]")
    assert np.abs(np.reshape(shown, (37, 37)) - result.stderr("dcka")).max() < 1e-4
    assert not page.locator(".simwidget-still").is_visible()


def test_a_rerun_leaves_nothing_of_the_old_widget_in_the_file(saving_book):
    """The file has the widgets that outputs show, and their code once. A heatmap that is displayed again is drawn."""
    book = saving_book
    cell = "heatmap = sw.SimilarityHeatmap(result); every.append(heatmap)\nheatmap"
    cells = (setup("12, 0.01"), "result = comparison.run(progress=False); every = []", cell, "every[0]", "")
    page = book.write(*cells).open().ready().page
    drawn = "(n) => document.querySelectorAll('.simwidget-heatmap canvas[data-frame]').length === n"
    for index in range(3):
        book.run(index)
    page.wait_for_function(drawn, arg=1)
    book.save()
    once = saved_models(book)
    for _ in range(5):
        book.run(2)
    assert book.ask(4, "print(len(every), every[0].comm)").split() == ["6", "None"]
    page.wait_for_function(drawn, arg=1)
    book.save()
    saved = saved_models(book)
    assert len(saved) == len(once) == 3  # the heatmap, its layout, and the front end
    assert set(saved) != set(once)
    assert sum(saved.values()) < 1.01 * sum(once.values())
    book.run(3)
    page.wait_for_function(drawn, arg=2)
    book.save()
    both = saved_models(book)
    assert set(both) == {*once, *saved}
    assert sum(size > 100_000 for size in both.values()) == 1
    page.close()
    again(book).open().ready().page.wait_for_function(drawn, arg=2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nbconvert(book, theme):
    result = finished(book)
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--theme", theme, str(book.path)]
    subprocess.run(command, check=True, capture_output=True)
    page = book.context.new_page()
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.goto(book.path.with_suffix(".html").as_uri())
    check_still(page, result)
