"""Stand-ins for a page and for a run, between which a publisher sends."""

import threading
from dataclasses import replace

import numpy as np

from simwidget.inspection.pair_inspection import Inspection, Sample
from simwidget.run.progress import Progress

PAIR = {"model_x": "seed 0", "layer_x": "stem.0", "model_y": "<img src=x onerror=alert(1)>", "layer_y": "stage1.0"}
SECONDS = 10.0


class Page:
    """Notes what it is sent; a test waits for it."""

    def __init__(self):
        self.measure, self.view, self.selection, self.pinned = "cka", (0, 1), None, []
        self.sent, self.written, self.kept = [], [], []
        self.fails = 0
        self._heard = threading.Condition()

    def _note(self, where, what):
        with self._heard:
            where.append(what)
            self._heard.notify_all()

    def send(self, content, buffers=None):
        if self.fails:
            self.fails -= 1
            raise OSError("the channel is gone")
        self._note(self.sent, (content, buffers))

    def write(self, **state):
        self._note(self.written, state)

    def keep(self, result):
        self._note(self.kept, result)

    def wait_for(self, condition, seconds=SECONDS):
        with self._heard:
            return self._heard.wait_for(condition, seconds)

    def of(self, kind):
        return [content for content, _ in self.sent if content["type"] == kind]


class Source:
    """A run by hand."""

    def __init__(self, result):
        self.result = result
        self.progress = Progress("running", 0, 9, 0, 1.0)
        self.asked, self.inspected = [], []
        self.watchers = []

    def _on_display_thread(self):
        self.display_thread = threading.current_thread().name

    def watch(self, callback):
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    def step(self, state="running"):
        n = self.progress.n_batches + 1
        self.progress = replace(self.progress, n_batches=n, n_samples=64 * n, state=state)
        self.result = replace(self.result, n_batches=n, n_samples=64 * n, complete=state == "finished")
        for call in self.watchers:
            call()

    def snapshot(self, measures=None, pairs=None):
        self.asked.append((measures, pairs))
        return self.result

    def convergence(self, layer_x, layer_y, view):
        if layer_x == "gone":
            raise ValueError("no such layer")
        curve = type("Curve", (), {})()
        curve.n_batches = np.array([1, 2])
        curve.values, curve.stderr = np.array([0.4, 0.5]), np.array([np.nan, 0.1])
        return {"cka": curve}

    def inspect(self, layer_x, layer_y, view):
        self.inspected.append((layer_x, layer_y, view))
        return inspection(4)


def inspection(m, thumbnail=None, labels=True, **changes):
    """Two layers that differ in everything, on m samples."""
    gram = np.arange(m * m, dtype=np.float32).reshape(m, m)
    ends = [tuple(Sample(k, k % 3, sign * k / 40, thumbnail) for k in range(12)) for sign in (-1, 1)]
    known = {
        "gram_x": gram,
        "gram_y": -gram,
        "samples": np.arange(m),
        "labels": np.arange(m) // 10 if labels else None,
        "spectrum_x": np.linspace(1, 0, m) / m,
        "spectrum_y": np.linspace(2, 0, m) / m,
        "dimension_x": 3.5,
        "dimension_y": float("nan"),
        "least": ends[0],
        "most": ends[1],
        "n_compared": 10 * m,
    }
    return Inspection("seed 0", "stem.0", "seed 1", "stage1.0", **{**known, **changes})


def frames(page):
    return [content["n_batches"] for content in page.of("frame")]
