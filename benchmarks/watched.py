"""A comparison that is watched, by a stand-in for a page that acknowledges every frame at once.

The publisher then works as hard as it ever does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import simwidget as sw


class Frames:
    """How many frames have reached the page."""

    count = 0


@contextmanager
def watched(comparison: sw.Comparison) -> Iterator[Frames]:
    """The comparison's heatmap is shown, with a pair of layers held, so that its curves are sent too."""
    widget = sw.SimilarityHeatmap(comparison)
    frames = Frames()

    def page(content: dict, buffers: Any = None) -> None:
        if content["type"] == "frame":
            frames.count += 1
            widget._hear(widget, {"type": "ack", "client": "page", "seq": content["seq"], "hidden": False}, [])

    widget.send = page
    widget._hear(widget, {"type": "ready", "client": "page", "run_id": "", "have_seq": 0}, [])
    layers = [axis["layers"][-1] for axis in widget.axes]
    widget.select(layers[0], layers[1])
    try:
        yield frames
    finally:
        widget.close()
