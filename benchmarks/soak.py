"""What a long run holds on to: `python -m benchmarks.soak [--batches 10000] [--out FILE.json]`.

Two small networks are compared over many batches in a real JupyterLab kernel, with the live heatmap in a real Chromium
and a pair of layers held. At regular moments: the memory of the kernel and of the server, the page's heap after a
collection, and what is under way. Each must be flat within 5 % once the first tenth of the batches is through; if one
is not, the exit status is 1.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.flow import TESTS, resident
from benchmarks.machine import machine
from simwidget.run.progress import ENDED

KERNEL = """
import json, os, threading, time
import torch
import simwidget as sw

class Drawn:
    # batches are drawn as they are needed: a list of them would be memory of its own
    def __len__(self):
        return {batches}
    def __iter__(self):
        generator = torch.Generator().manual_seed(0)
        for _ in range(len(self)):
            time.sleep(0.01)  # as a loader that reads files; the page then has the time for its frames
            yield torch.rand(32, 1, 8, 8, generator=generator), torch.randint(10, (32,), generator=generator)

def network(seed):
    torch.manual_seed(seed)
    layers = [torch.nn.Flatten(), torch.nn.Linear(64, 64)]
    for _ in range(10):
        layers += [torch.nn.ReLU(), torch.nn.Linear(64, 64)]
    return torch.nn.Sequential(*layers)

torch.set_num_threads(1)  # small networks gain nothing from more, and the browser takes the others
comparison = sw.compare({{"a": network(0), "b": network(1)}}, Drawn(), gram_batch=32, device="cpu")
widget = sw.SimilarityHeatmap(comparison)
widget.select("5", "9")
events = getattr(get_ipython().kernel.iopub_thread, "_events", ())

def report():
    # into a file, as asking through the page would make the page remember the question
    while True:
        publisher, state = widget._publisher, comparison.state
        seen = [client.seq for client in list(publisher._pacing.clients.values())]
        status = {{
            "at": time.time(), "pid": os.getpid(), "threads": threading.active_count(),
            "state": state, "batches": comparison.n_batches, "frames": publisher.seq, "queued": len(events),
            "unacknowledged": publisher.seq - min(seen, default=publisher.seq), "pages": len(seen),
        }}
        with open("status.new", "w") as file:
            json.dump(status, file)
        os.replace("status.new", "status.json")
        time.sleep(0.05)

threading.Thread(target=report, daemon=True).start()
"""
SAMPLES = 40
WARM_UP = 0.1
FLAT = 0.05
MAX_WAITING = 3
"""Frames that may be under way: as many as a page may miss until it is taken to be gone."""
MEMORY = {"kernel MB": "the kernel's memory", "page MB": "the page's heap", "server MB": "the server's memory"}
WAITING = {
    "unacknowledged": "frames without an acknowledgement",
    "queued": "messages queued in the kernel",
    "behind": "frames that the page is behind",
}

COLUMNS = {
    "batches": 8,
    "seconds": 8,
    "kernel MB": 10,
    "page MB": 8,
    "server MB": 10,
    "nodes": 6,
    "listeners": 10,
    "threads": 8,
    "frames": 7,
    "unacknowledged": 15,
    "queued": 7,
    "behind": 7,
}
HEAD = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--batches", type=int, default=10_000)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    sys.path.insert(0, str(TESTS))
    from conftest import FLAGS
    from jupyter_pages import Notebook, Server
    from playwright.sync_api import sync_playwright

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        server = Server(Path(folder), "lab")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            context = browser.new_context(viewport={"width": 1300, "height": 1000})
            book = Notebook(server, context, "soak.ipynb")
            book.write(KERNEL.format(batches=given.batches), "widget", "_ = comparison.start()", "").open().ready()
            for cell in range(3):
                book.run(cell)
            print(HEAD)
            for row in samples(book, given.batches):
                rows.append(row)
                print(line(row), flush=True)
            right = ends_right(book)
        finally:
            browser.close()
            server.close()
    verdicts = [*grown(rows, given.batches), *waited(rows, given.batches)]
    verdicts.append({"what": "the picture at the end", "text": "Python's" if right else "another", "flat": right})
    for one in verdicts:
        print(f"{one['what']}: {one['text']}{'' if one['flat'] else '  <-- not flat'}")
    if given.out:
        about = {"machine": machine("benchmarks.soak"), "verdicts": verdicts, "samples": rows}
        given.out.write_text(json.dumps(about, indent=1))
    return 0 if all(one["flat"] for one in verdicts) else 1


def samples(book: Any, batches: int) -> Iterator[dict[str, Any]]:
    """One row of figures at each of some moments, evenly spaced over the batches."""
    tools = book.context.new_cdp_session(book.page)
    tools.send("Performance.enable")
    tools.send("HeapProfiler.enable")
    begun = time.monotonic()
    for k in range(1, SAMPLES + 1):
        status = wait_for_batches(book.server.folder / "status.json", batches * k // (SAMPLES + 1))
        if status["state"] in ENDED:  # its last picture is drawn then, by libraries that are loaded for it
            return
        # before the collection, which keeps the page from taking frames
        seq = book.page.evaluate("() => document.querySelector('.simwidget-heatmap').cells?.seq ?? 0")
        heap, nodes, listeners = page_heap(tools)
        yield {
            "batches": status["batches"],
            "seconds": round(time.monotonic() - begun, 1),
            "kernel MB": resident(status["pid"]),
            "page MB": round(heap / 2**20, 2),
            "server MB": resident(book.server.process.pid),
            "nodes": nodes,
            "listeners": listeners,
            "threads": status["threads"],
            "frames": status["frames"],
            "unacknowledged": status["unacknowledged"],
            "queued": status["queued"],
            "behind": max(0, status["frames"] - seq),
        }


def wait_for_batches(file: Path, n: int) -> dict[str, Any]:
    """What the kernel says of itself as soon as so many batches are through, or the run has ended."""
    asked = time.time()
    while True:
        time.sleep(0.05)
        status = json.loads(file.read_text()) if file.exists() else {"at": 0.0}
        if status["at"] >= asked and (status["batches"] >= n or status["state"] in ENDED):
            return status


def page_heap(tools: Any) -> tuple[float, int, int]:
    for _ in range(2):  # what one collection lets go may hold something else
        tools.send("HeapProfiler.collectGarbage")
    status = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
    return status["JSHeapUsedSize"], int(status["Nodes"]), int(status["JSEventListeners"])


def ends_right(book: Any) -> bool:
    """Whether the page shows the result, to the last bit of a float32."""
    import numpy as np

    book.wait_for_state("finished", timeout=60_000)
    printed = book.ask(3, "r = comparison.result; print(json.dumps([r.n_samples, r.matrix().tolist()]))")
    n_samples, expected = json.loads(printed)
    book.page.wait_for_function(
        "(n) => document.querySelector('.simwidget-heatmap').cells.samples === n", arg=n_samples
    )
    shown = book.page.evaluate("() => [...document.querySelector('.simwidget-heatmap').cells.values]")
    return np.array_equal(np.array(shown, "f4"), np.array(expected, "f4").ravel())


def warm(rows: list[dict[str, Any]], batches: int) -> list[dict[str, Any]]:
    return [row for row in rows if row["batches"] > WARM_UP * batches]


def grown(rows: list[dict[str, Any]], batches: int) -> list[dict[str, Any]]:
    """By how much each kind of memory has grown at most since the warm-up, of which the next three figures tell."""
    found = []
    for key, what in MEMORY.items():
        values = [row[key] for row in warm(rows, batches)]
        first, most = statistics.median(values[:3]), max(values)
        growth = most / first - 1
        text = f"{first:.1f} MB after the warm-up, {most:.1f} MB at most, {values[-1]:.1f} MB at the end: {growth:+.1%}"
        found.append({"what": what, "growth": growth, "text": text, "flat": growth <= FLAT})
    return found


def waited(rows: list[dict[str, Any]], batches: int) -> list[dict[str, Any]]:
    """What is under way is a few messages or none, so that it is flat when it stays under a bound."""
    found = []
    for key, what in WAITING.items():
        most = max(row[key] for row in warm(rows, batches))
        found.append({"what": what, "most": most, "text": f"{most} at most", "flat": most <= MAX_WAITING})
    return found


def line(row: dict[str, Any]) -> str:
    return "".join(f"{row[name]:>{width}}" for name, width in COLUMNS.items())


if __name__ == "__main__":
    sys.exit(main())
