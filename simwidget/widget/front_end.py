"""`FrontEnd`: an invisible widget with the built JavaScript and CSS, which all heatmaps of a notebook share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar

import ipywidgets
import traitlets
from ipywidgets.widgets.widget import _instances

STATIC = Path(__file__).parent.parent / "static"


def built(name: str) -> str:
    """Return the text of a built front-end file, such as "heatmap.js". Raise FileNotFoundError if it is missing."""
    path = STATIC / name
    if not path.exists():
        raise FileNotFoundError(
            f"the front end is not built ({path.name} is missing): run `npm ci && npm run build` beside package.json, "
            "or install the package again"
        )
    return path.read_text("utf-8")


class FrontEnd(ipywidgets.Widget):
    """An invisible widget that holds the front end: the built JavaScript and CSS.

    All heatmaps share this widget, so pages and saved notebooks contain the front end only once. Each heatmap refers to
    this widget by its trait `front_end`. The heatmap itself carries only a short program, `js/loader.ts`. On the page,
    this program loads the front end from this widget.
    """

    javascript = traitlets.Unicode().tag(sync=True)
    css = traitlets.Unicode().tag(sync=True)

    _shared: ClassVar["FrontEnd | None"] = None
    _n_held: ClassVar[int] = 0
    _lock: ClassVar[RLock] = RLock()

    @classmethod
    @contextmanager
    def held(cls) -> "Iterator[FrontEnd]":
        """Context manager that yields the shared instance of this Python process.

        If there is no instance, it is created. If the instance is closed, it is reopened. The caller opens a heatmap
        within the `with` block. Until the block ends, the instance stays open even if no open heatmap refers to it.
        """
        with cls._lock:
            cls._n_held += 1
        try:
            with cls._lock:
                if cls._shared is None:
                    cls._shared = cls(javascript=built("heatmap.js"), css=built("heatmap.css"))
                elif cls._shared.comm is None:
                    cls._shared.open()
            yield cls._shared
        finally:
            with cls._lock:
                cls._n_held -= 1

    @classmethod
    def close_unless_used(cls) -> None:
        """Close the shared instance, if there is one, unless it is in use (see `close`)."""
        if cls._shared is not None:
            cls._shared.close()

    def close(self) -> None:
        """Remove the front end from all pages and from notebooks that are saved later, unless the front end is in use.

        The front end is in use while an open heatmap refers to it, and within the `with` block of `held`.
        """
        with self._lock:
            # an open widget is in `_instances`, but only from the end of its opening on
            is_used = any(getattr(one, "front_end", None) is self for one in tuple(_instances.values()))
            if not is_used and self._n_held == 0:
                super().close()

    def set_state(self, sync_data: Any) -> None:
        """Ignore the values that a page wants to set, and send the present values back to the pages."""
        if isinstance(sync_data, dict):
            self.send_state([name for name in sync_data if name in self.keys])
