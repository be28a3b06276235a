"""A comparison that is watched, by a stand-in for a page that acknowledges every frame at once.

The publisher then works as hard as it ever does.
"""

from typing import Any

import simwidget as sw


class Watched:
    """The comparison's heatmap is shown, with a pair of layers held, so that its curves are sent too."""

    def __init__(self, comparison: sw.Comparison) -> None:
        self.n_frames = 0
        self._comparison = comparison
        self._widget = widget = sw.SimilarityHeatmap(comparison)
        self._looks = True

        def page(content: dict, buffers: Any = None) -> None:
            if content["type"] == "frame":
                self.n_frames += 1
                widget._on_message(
                    widget, {"type": "ack", "client": "page", "seq": content["seq"], "hidden": False}, []
                )

        widget.send = page
        widget._on_message(widget, {"type": "ready", "client": "page", "run_id": "", "have_seq": 0}, [])
        layers = [axis["layers"][-1] for axis in widget.axes]
        widget.select(layers[0], layers[1])

    def look(self, on: bool) -> None:
        """From now on, or no longer: the publisher then does not hear of changes."""
        publisher = self._widget._publisher
        if on and not self._looks:
            publisher._leave = self._comparison.watch(publisher.changed)
        elif self._looks and not on:
            publisher._leave()
        self._looks = on

    def close(self) -> None:
        self.look(True)  # closing takes the way out again
        self._widget.close()

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
