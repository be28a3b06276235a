"""The pictures of the explorer: `python docs/screenshots.py [FOLDER]` (needs the test extra).

In JupyterLab a run of the embedded networks, half way through; as pages densenet121 x resnet101 with every layer
(random weights, made-up images) and a map of 1,000 x 1,000; all in light and dark, the pages in three widths. Those
that the documents show are written beside this file, the others into FOLDER (out/screenshots by default).
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from conftest import FLAGS  # noqa: E402
from jupyter_pages import Notebook, Server  # noqa: E402
from map_pages import Map  # noqa: E402

from benchmarks.interaction import large_result  # noqa: E402

WIDTHS = (700, 1000, 1600)
CELL = """import time, torch
import simwidget as sw

models, loader, _ = sw.demo.load(batch_size=16)
class Slow:
    __len__ = lambda self: len(loader)
    def __iter__(self):
        for batch in loader:
            time.sleep(0.25)
            yield batch
pair = {"seed 0": models["seed 0"], "seed 1": models["seed 1"]}
comparison = sw.compare(pair, Slow(), device="cpu")
widget = sw.SimilarityHeatmap(comparison)"""


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        server = Server(Path(folder), "lab")
        try:
            for theme in ("light", "dark"):
                in_jupyterlab(server, browser, theme)
        finally:
            server.close()
        pages = {"large": Path(folder) / "large.html", "thousand": Path(folder) / "thousand.html"}
        networks().to_html(pages["large"])
        large_result(1000).to_html(pages["thousand"])
        for name, path in pages.items():
            for theme in ("light", "dark"):
                for width in WIDTHS:
                    as_page(browser, path, theme, width, out / f"{name}-{theme}-{width}.png")
        browser.close()
    shutil.copy(out / "large-light-1000.png", HERE / "large.png")


def in_jupyterlab(server: Server, browser, theme: str) -> None:
    context = browser.new_context(viewport={"width": 1420, "height": 1500}, color_scheme=theme)
    book = Notebook(server, context, f"{theme}.ipynb").write(CELL, "widget", "comparison.start()").open().ready()
    page = book.page
    name = f"JupyterLab {theme.title()}"
    page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
    page.wait_for_selector(f"body[data-jp-theme-light={'true' if theme == 'light' else 'false'}]", state="attached")
    book.run(0)
    book.run(1)
    page.wait_for_selector(".simwidget-heatmap canvas[data-frame]")
    map_ = Map(page)
    map_.click("stage1.1.conv2", "stage2.1.bn1")
    book.run(2)
    page.wait_for_function(
        "(one) => one.cells?.samples >= 512 && one.detail?.inside", arg=map_.element.element_handle()
    )
    map_.hover("stage3.1.bn1", "stage3.1.conv2")
    map_.settle()
    map_.element.locator(".box").screenshot(path=HERE / f"live-{theme}.png")
    book.wait_for_state("finished", timeout=60_000)
    context.close()


def as_page(browser, path: Path, theme: str, width: int, out: Path) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme=theme, offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector(".simwidget-heatmap canvas[data-frame]")
    map_ = Map(page)
    map_.open_all()
    rows, columns = len(map_.rows), len(map_.columns)
    map_.click(int(0.36 * rows), int(0.3 * columns))
    page.mouse.move(2, 2)
    map_.settle()
    page.screenshot(path=out, full_page=True)
    context.close()


def networks():
    """CKA and dCKA of every module of two networks with random weights."""
    import torch
    import torchvision

    import simwidget as sw

    torch.manual_seed(0)
    models = torchvision.models
    batches = [torch.nn.functional.avg_pool2d(torch.randn(16, 3, 192, 192).cumsum(-1), 3) for _ in range(16)]
    pair = {name: getattr(models, name)(weights=None) for name in ("densenet121", "resnet101")}
    return sw.compare(pair, batches, layers=["*"], device="cpu", gram_batch=16).run(progress=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "out" / "screenshots")
