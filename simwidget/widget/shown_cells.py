"""Removes a widget from the page and from the saved notebook when no cell output shows the widget any more."""

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

    When no output shows the widget any more, the widget's comm (message channel to the page) is closed. The page then
    forgets the widget, and a saved notebook does not contain it. The Python object can be displayed again.

    The comm stays open if another widget refers to this widget, or if the widget was ever displayed without a known
    cell. The cell is unknown in a callback, inside an `ipywidgets.Output`, and in a front end that does not tell the
    kernel which cell runs.

    Args:
        lock: the lock under which messages to the page are sent.
        parts: a function that returns the widget and its parts, each container before its contents. A part is a widget
            that appears on the page only inside this widget.
    """

    def __init__(self, lock: AbstractContextManager[Any], parts: Callable[[], Sequence[ipywidgets.DOMWidget]]) -> None:
        self._lock = lock
        self._parts = parts
        self._runs: dict[str, str] = {}
        """identifier of a cell that shows the widget -> identifier of the cell run that displayed the widget"""
        self._is_elsewhere = False
        self._is_closed = False
        self._shell: Any = None
        self.when_gone: Callable[[], None] | None = None
        """function to call when no output shows the widget any more, or None"""

    @property
    def any(self) -> bool:
        """Whether an output may still show the widget."""
        return self._is_elsewhere or bool(self._runs)

    def add(self) -> None:
        """Record that the running cell displays the widget. Reopen closed comms of the widget and its parts.

        Call this method before the widget is displayed.

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
        """Stop watching the cells, because the caller closes the widget for good. A later `add` raises RuntimeError."""
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
        """Return the widget and its parts, each followed by its layout widget and, if it has one, its style widget."""
        parts = self._parts()
        return [one for part in parts for one in (part, part.layout, getattr(part, "style", None)) if one is not None]


def close_layout(widget: ipywidgets.Widget) -> None:
    """Close the layout widget and the style widget of a closed widget, except those that an open widget uses."""
    for name in ("layout", "style"):
        model = widget._trait_values.get(name)
        others = (one._trait_values.get(name) for one in tuple(_instances.values()))
        if isinstance(model, ipywidgets.Widget) and not any(one is model for one in others):
            model.close()


def running_cell() -> tuple[str, str] | None:
    """Return the identifiers of the running cell and of its present run; None if they are not known.

    The identifiers are known in JupyterLab and Notebook, because these front ends tell the kernel which cell runs.
    """
    from IPython import get_ipython

    try:
        parent = get_ipython().get_parent()  # type: ignore[no-untyped-call]
        return parent["metadata"]["cellId"], parent["header"]["msg_id"]
    except (AttributeError, KeyError, TypeError):
        return None


def _is_captured(run: str) -> bool:
    """Whether an `ipywidgets.Output` captures the outputs of the cell run with the identifier `run`.

    The `Output` may be shown by another cell.
    """
    return any(state.get("msg_id") == run for state in _states().values())


def _is_referred_to(widget: ipywidgets.Widget) -> bool:
    """Whether the state of any open widget refers to `widget`. A box, for example, refers to its children."""
    reference = f"IPY_MODEL_{widget.model_id}"
    return any(reference in str(state) for state in _states().values())


def _states() -> dict[str, dict[str, Any]]:
    """Return a dict with the state of every open widget: identifier of the widget -> state without binary data."""
    found: dict[str, dict[str, Any]] = {}
    for widget in tuple(_instances.values()):
        with suppress(AttributeError):  # of a widget that refers to a closed one, which has no identifier any more
            saved = ipywidgets.Widget.get_manager_state(widgets=[widget])["state"]
            found |= {model_id: one["state"] for model_id, one in saved.items()}
    return found
