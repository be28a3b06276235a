"""How smoothly a large map moves: `python -m benchmarks.interaction [--layers 1000] [--seconds 5]`.

A page with a map of 1,000 x 1,000 layers in a real Chromium. While the wheel turns and the map is dragged, and while a
block is opened and folded again and again, the time between two animation frames is measured in the page.
"""

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from simwidget.result.cells import Cells, MeasureInfo
from simwidget.result.similarity_result import SimilarityResult

TESTS = Path(__file__).parent.parent / "tests"
WATCH = """() => {
    window.frames = [];
    let last = performance.now();
    const look = () => {
        const now = performance.now();
        window.frames.push(now - last);
        last = now;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""


def large_result(n: int) -> SimilarityResult:
    """A map of n x n layers in nested blocks, of which a part is not settled."""
    rng = np.random.default_rng(0)
    names = tuple(f"stage{i * 4 // n}.block{i // 10}.layer{i % 10}" for i in range(n))
    depth = np.linspace(0, 1, n)
    values = np.exp(-8 * (depth[:, None] - depth) ** 2) + rng.normal(scale=0.02, size=(n, n))
    stderr = np.abs(rng.normal(0.012, 0.006, (n, n)))
    return SimilarityResult(
        models=("a", "b"),
        measures=("cka",),
        n_samples=4096,
        n_batches=64,
        complete=True,
        notes=(),
        provenance={},
        _layers=(names, names),
        _info={"cka": MeasureInfo("CKA", "similarity", 15.0)},
        _cells={("cka", 0, 1): Cells(values, stderr, np.zeros((n, n), dtype=bool))},
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--layers", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    sys.path.insert(0, str(TESTS))
    from conftest import FLAGS
    from map_pages import Map
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "page.html"
        large_result(given.layers).to_html(path)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1000, "height": 690})
        page.goto(path.as_uri())
        page.wait_for_selector(".simwidget-heatmap canvas[data-frame]")
        map_ = Map(page)
        map_.open_all()
        map_.click(given.layers // 3, given.layers // 2)
        page.evaluate(WATCH)
        found = {
            "zooming and panning": measure(page, given.seconds, lambda k: zoom_and_pan(page, map_, k)),
            "opening and folding a block": measure(page, given.seconds, lambda k: open_block(map_, k)),
        }
        browser.close()
    for name, one in found.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in one.items()))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


def measure(page, seconds: float, deed) -> dict:
    page.evaluate("() => { window.frames = []; }")
    ends, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        deed(count)
        count += 1
    frames = np.array(page.evaluate("() => window.frames"))
    return {
        "deeds": count,
        "frames": len(frames),
        "median, ms": round(float(np.median(frames)), 1),
        "95th percentile, ms": round(float(np.quantile(frames, 0.95)), 1),
        "longest, ms": round(float(frames.max()), 1),
    }


def zoom_and_pan(page, map_, k: int) -> None:
    """Into the map and out again by the wheel, and a drag in between."""
    if k == 0:
        box, (left, top, width, height) = map_.stage.bounding_box(), map_.frame
        zoom_and_pan.centre = (box["x"] + left + width / 2, box["y"] + top + height / 2, width, height)
    x, y, width, height = zoom_and_pan.centre
    phase = k % 60
    page.mouse.move(x + 0.3 * width * math.cos(k / 20), y + 0.3 * height * math.sin(k / 20))
    if 20 <= phase < 40:
        if phase == 20:
            page.mouse.down()
        if phase == 39:
            page.mouse.up()
    else:
        page.mouse.wheel(0, -60 if phase < 20 else 60)


def open_block(map_, k: int) -> None:
    """Through the trait, as a click does it, and drawn before the next one."""
    map_.page.evaluate(
        """(k) => {
            const { model } = window.simwidget;
            const all = [...new Set(model.get("axes")[0].layers.flatMap((one) => {
                const [stage, block] = one.split(".");
                return [stage, `${stage}.${block}`];
            }))];
            model.set("open_x", { a: k % 2 ? all : all.filter((one) => one !== "stage1") });
        }""",
        k,
    )
    map_.settle()


if __name__ == "__main__":
    main()
