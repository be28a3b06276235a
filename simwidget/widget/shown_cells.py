"""A widget stays on the page, and in the notebook that the page saves, as long as the output of a cell shows it."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

import ipywidgets
from ipywidgets.widgets.widget import _instances

from simwidget.widget.front_end import FrontEnd

LOG = logging.getLogger("simwidget")


class ShownCells:
    """The cells whose outputs show a widget. A cell that is run again loses the outputs of its earlier run.

    When no output is left, the comm of the widget is closed, so that a saved notebook has nothing of it. Only the page
    forgets it: Python keeps it as it is, and it can be displayed again. It stays if another widget refers to
    it, or if it was ever displayed where no cell is known: by a callback, inside an `ipywidgets.Output`, or in a front
    end that does not tell which cell it runs.

    Args:
        lock: the lock under which messages to the page are sent.
        parts: a function that returns the widgets that are on the page for this one only, containers first, itself too.
    """

    def __init__(self, lock: AbstractContextManager[Any], parts: Callable[[], Sequence[ipywidgets.DOMWidget]]) -> None:
        self._lock = lock
        self._parts = parts
        self._runs: dict[str, str] = {}
        """for each cell that shows the widget the run of the cell that displayed it"""
        self._is_elsewhere = False
        self._is_closed = False
        self._shell: Any = None
        self.when_gone: Callable[[], None] | None = None
        """what to call when the widget has left the page; None for a widget that may be displayed again"""

    @property
    def any(self) -> bool:
        """Whether an output may still show the widget."""
        return self._is_elsewhere or bool(self._runs)

    def add(self) -> None:
        """Note that the running cell displays the widget. To be called before that: what has left the page returns.

        Raises:
            RuntimeError: the widget is closed.
        """
        if self._is_closed:
            raise RuntimeError("this widget is closed and cannot be displayed again; make another one")
        with self._lock:
            for model in reversed(self._models()):
                if model.comm is None:
                    vars(model).pop("_repr_mimebundle_", None)  # None since the comm was closed
                    model.open()
        found = running_cell()
        if found is None or _is_captured(found[1]):
            self._is_elsewhere = True
            return
        self._runs[found[0]] = found[1]
        if self._shell is None:
            from IPython import get_ipython

            self._shell = get_ipython()  # type: ignore[no-untyped-call]
            self._shell.events.register("post_run_cell", self._after_cell)

    def close(self) -> None:
        """To be called when the widget is closed for good."""
        self._is_closed = True
        self._unregister()

    def _unregister(self) -> None:
        if self._shell is not None:
            self._shell.events.unregister("post_run_cell", self._after_cell)
            self._shell = None

    def _after_cell(self, _: Any) -> None:
        found = running_cell()
        if found is None or self._runs.get(found[0], found[1]) == found[1]:
            return
        del self._runs[found[0]]
        if self.any:
            return
        self._unregister()
        try:
            self._leave()
        except Exception:  # an error in a display must not fail the cell
            LOG.exception("a widget whose output is gone could not be removed from the notebook")

    def _leave(self) -> None:
        with self._lock:
            for model in self._models():
                if model.comm is not None and not _is_referred_to(model):
                    ipywidgets.Widget.close(model)
            FrontEnd.close_unless_used()
        if self.when_gone is not None:
            self.when_gone()

    def _models(self) -> list[ipywidgets.Widget]:
        """The parts, each with its layout and style, which are widgets too."""
        parts = self._parts()
        return [one for part in parts for one in (part, part.layout, getattr(part, "style", None)) if one is not None]


def running_cell() -> tuple[str, str] | None:
    """Return the identifiers of the running cell and of this run of it; None if they are not known.

    JupyterLab and Notebook tell the kernel which cell they run.
    """
    from IPython import get_ipython

    try:
        parent = get_ipython().get_parent()  # type: ignore[no-untyped-call]
        return parent["metadata"]["cellId"], parent["header"]["msg_id"]
    except (AttributeError, KeyError, TypeError):
        return None


def _is_captured(run: str) -> bool:
    """Whether an `ipywidgets.Output`, which may stand below another cell, takes the outputs of this run of a cell."""
    return any(state.get("msg_id") == run for state in _states().values())


def _is_referred_to(widget: ipywidgets.Widget) -> bool:
    """Whether the state of another open widget refers to this one, as that of a box refers to its children."""
    reference = f"IPY_MODEL_{widget.model_id}"
    return any(reference in str(state) for state in _states().values())


def _states() -> dict[str, dict[str, Any]]:
    """The states of all open widgets, without their binary parts, by their identifiers."""
    found: dict[str, dict[str, Any]] = {}
    for widget in tuple(_instances.values()):
        with suppress(AttributeError):  # of a widget that refers to a closed one, which has no identifier any more
            saved = ipywidgets.Widget.get_manager_state(widgets=[widget])["state"]
            found |= {model_id: one["state"] for model_id, one in saved.items()}
    return found
