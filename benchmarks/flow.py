"""What a page receives: lag, frames a second and the server's memory: `python -m benchmarks.flow [--seconds 20]`.

A real JupyterLab and a real Chromium. The kernel shows maps that change all the time, 200 x 200 at 10 Hz and
1,000 x 1,000 as fast as they are acknowledged; the first cell of each map holds the moment it was made, so the page
can say how old what it draws is.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent.parent / "tests"
KERNEL = """
import threading, time
import numpy as np
from simwidget.result.cells import Cells, MeasureInfo
from simwidget.result.similarity_result import SimilarityResult
from simwidget.widget import SimilarityHeatmap

def result_of(n, count):
    values = np.random.default_rng(count).random((n, n))
    values[0, :2] = np.modf(time.time() / 100.0)[0], count  # float32 holds hundredths of a second to 6e-6
    layers = tuple(f"layer{i}" for i in range(n))
    return SimilarityResult(
        models=("a", "b"), measures=("cka",), n_samples=count + 1, n_batches=count, complete=False, notes=(),
        provenance={}, _layers=(layers, layers), _info={"cka": MeasureInfo("CKA", "similarity", 15.0)},
        _cells={("cka", 0, 1): Cells(values, np.full((n, n), 0.01), np.zeros((n, n), dtype=bool))},
    )

def acknowledged(publisher, sent):
    clients = list(publisher._pacing.clients.values())
    return publisher.seq > sent and all(client.seq == publisher.seq for client in clients)

def feed(widget, n, hertz, seconds):
    ends, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        count += 1
        widget.show(result_of(n, count))
        if hertz:
            time.sleep(1 / hertz)
        else:
            # made when the page has drawn the one before, so its age is the way's alone
            publisher = widget._publisher
            sent = publisher.seq
            while time.monotonic() < ends and not acknowledged(publisher, sent):
                time.sleep(0.002)
    widget.show(result_of(n, count + 1))
    feed.made = count + 1
"""
WATCH = """() => {
    window.seen = [];
    const canvas = document.querySelector(".simwidget-heatmap");
    let last;
    const look = () => {
        const cells = canvas.cells;
        if (cells && cells.seq !== last) {
            last = cells.seq;
            const now = (Date.now() / 1000 / 100) % 1;
            const lag = 100 * ((now - cells.values[0] + 1.5) % 1 - 0.5);
            window.seen.push([performance.now() / 1000, lag, cells.values[1]]);
        }
        requestAnimationFrame(look);
    };
    look();
}"""
CASES = (("200 x 200 at 10 Hz", 200, 10), ("1,000 x 1,000 as fast as acknowledged", 1000, 0))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    sys.path.insert(0, str(TESTS))
    from conftest import FLAGS
    from jupyter_pages import Server
    from playwright.sync_api import sync_playwright

    found = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = Server(Path(folder), "lab")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            for name, n, hertz in CASES:
                found[name] = measure(server, browser, n, hertz, given.seconds)
                print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found[name].items()), flush=True)
        finally:
            browser.close()
            server.close()
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


def measure(server, browser, n: int, hertz: int, seconds: float) -> dict:
    from jupyter_pages import Notebook

    fps = 10 if hertz else 1000
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    book = Notebook(server, context, f"flow{n}.ipynb")
    cells = [
        KERNEL,
        f"widget = SimilarityHeatmap(result_of({n}, 0), frames_per_second={fps}); widget",
        f"thread = threading.Thread(target=feed, args=(widget, {n}, {hertz}, {seconds})); thread.start()",
        "",
    ]
    page = book.write(*cells).open().ready().page
    for cell in (0, 1):
        book.run(cell)
    page.wait_for_selector(".simwidget-heatmap canvas[data-frame]")
    page.evaluate(WATCH)
    memory = [resident(server.process.pid)]
    book.run(2)
    ticks = max(4, int(seconds))
    for k in range(1, ticks + 1):
        page.wait_for_function(
            "(wait) => window.seen.length > 1 && window.seen.at(-1)[0] - window.seen[1][0] > wait",
            arg=seconds * 0.8 * k / ticks,
            timeout=120_000,
        )
        memory.append(resident(server.process.pid))
    made = int(book.ask(3, "thread.join(); print(feed.made)"))
    page.wait_for_function("(made) => window.seen.at(-1)[2] === made", arg=made, timeout=30_000)
    seen = [one for one in page.evaluate("() => window.seen") if one[2] >= 1]  # what was there before is old
    lags = [lag for _, lag, _ in seen]
    context.close()
    half = len(memory) // 2
    return {
        "frames a second": round((len(seen) - 1) / (seen[-1][0] - seen[0][0]), 1),
        "median lag, s": round(statistics.median(lags), 3),
        "largest lag, s": round(max(lags), 3),
        "server MB at the start": memory[0],
        "server MB at half time": memory[half],
        "server MB at the end": memory[-1],
        "made": made,
        "drawn": len(seen),
        "last one drawn": seen[-1][2] == made,
    }


def resident(pid: int) -> float:
    """Megabytes of a process in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return round(int(line.split()[1]) / 1024, 1)
    raise OSError(f"/proc/{pid}/status has no VmRSS")


if __name__ == "__main__":
    main()
