"""The built JavaScript and CSS: `FrontEnd`, the widget that holds them for all heatmaps of a notebook."""

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
    """A widget without a view whose state is the front end, so that pages and saved notebooks have it once.

    Every heatmap refers to it by its trait `front_end`. `js/loader.ts`, which each heatmap has as its own JavaScript,
    follows this reference on the page.
    """

    javascript = traitlets.Unicode().tag(sync=True)
    css = traitlets.Unicode().tag(sync=True)

    _shared: ClassVar["FrontEnd | None"] = None
    _n_held: ClassVar[int] = 0
    _lock: ClassVar[RLock] = RLock()

    @classmethod
    @contextmanager
    def held(cls) -> "Iterator[FrontEnd]":
        """Context manager that yields the only instance of this Python process, made or opened again if necessary.

        The instance is not closed within the `with` block, in which a heatmap that refers to it is opened.
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
        """Remove the front end from all pages, and from notebooks saved later, if no open heatmap refers to it."""
        if cls._shared is not None:
            cls._shared.close()

    def close(self) -> None:
        """Do the same as `close_unless_used`, so that the front end is never taken away from a heatmap."""
        with self._lock:
            # an open widget is in `_instances`, but only from the end of its opening on
            is_used = any(getattr(one, "front_end", None) is self for one in tuple(_instances.values()))
            if not is_used and self._n_held == 0:
                super().close()

    def set_state(self, sync_data: Any) -> None:
        """Refuse all values that a page sets, and send the page the true ones."""
        if isinstance(sync_data, dict):
            self.send_state([name for name in sync_data if name in self.keys])
