"""The pictures of the heatmap in JupyterLab, light and dark: `python docs/screenshots.py` (needs the test extra)."""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from conftest import FLAGS  # noqa: E402
from jupyter_pages import Notebook, Server  # noqa: E402

CELL = """import time
import simwidget as sw

models, loader, _ = sw.demo.load(batch_size=16)
def slowly():
    for batch in loader:
        time.sleep(0.1)
        yield batch
class Slow:
    __len__ = lambda self: len(loader)
    __iter__ = lambda self: slowly()
pair = {"seed 0": models["seed 0"], "seed 1": models["seed 1"]}
comparison = sw.compare(pair, Slow(), gram_batch=16)"""


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = Server(Path(folder), "lab")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            for theme in ("light", "dark"):
                take(server, browser, theme, out)
        finally:
            browser.close()
            server.close()


def take(server: Server, browser, theme: str, out: Path) -> None:
    context = browser.new_context(viewport={"width": 1240, "height": 1500}, color_scheme=theme)
    book = Notebook(server, context, f"{theme}.ipynb").write(CELL, "comparison", "widget = 1").open().ready()
    page = book.page
    name = f"JupyterLab {theme.title()}"
    page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
    page.wait_for_selector(f"body[data-jp-theme-light={'true' if theme == 'light' else 'false'}]", state="attached")
    book.run(0)
    book.run(1)
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap')?.cells?.samples >= 320")
    canvas = page.locator(".simwidget-heatmap canvas")
    left, top, width, height = map(float, canvas.get_attribute("data-frame").split())
    at = {"x": left + width * 14.5 / 37, "y": top + height * 12.5 / 37}
    canvas.click(position=at)
    page.wait_for_function("() => document.querySelectorAll('.simwidget-heatmap .panel path').length >= 4")
    canvas.hover(position={"x": left + width * 25.5 / 37, "y": top + height * 24.5 / 37})
    page.wait_for_function("() => document.querySelector('.simwidget-heatmap .readout').textContent.includes('±')")
    page.locator(".simwidget-heatmap").screenshot(path=out / f"live-{theme}.png")
    book.wait_for_state("finished", timeout=60_000)
    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
