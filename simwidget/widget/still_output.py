"""The static output below the live heatmap: a picture of the result for readers without a kernel.

Where the live heatmap is drawn, it hides the static output.
"""

import contextvars
import logging
from collections.abc import Callable
from html import escape
from typing import Any
from uuid import uuid4

from simwidget.result.similarity_result import SimilarityResult

LOG = logging.getLogger("simwidget")


class StillOutput:
    """A second output of each cell that shows a heatmap: the latest stored result as HTML, PNG picture and text.

    The notebook file stores this output. Readers see it wherever the live heatmap cannot be drawn, such as on a
    code-hosting site. The live heatmap finds the static outputs by their CSS class, `simwidget-still-<run_id>`, and
    hides them.

    Args:
        run_id: the identifier of the heatmap, which is part of the CSS class.
        cell_ended: a function that saves the result if the run has ended. This function is called at the end of every
            cell. A later save might be too late, because a program that executes a notebook may close the notebook
            right after the last cell.
    """

    def __init__(self, run_id: str, cell_ended: Callable[[], None]) -> None:
        self._class = f"simwidget-still-{run_id}"
        self._ids: list[str] = []
        self._shell: Any = None
        self._cell_ended = cell_ended

    def show(self, result: SimilarityResult) -> None:
        """Add a static output with this result to the cell that is running."""
        from IPython import get_ipython
        from IPython.display import display

        if self._shell is None and (shell := get_ipython()) is not None:
            self._shell = shell
            shell.events.register("post_run_cell", self._after_cell)
        self._ids.append(f"simwidget-{uuid4().hex}")
        display(still_bundle(result, self._class), raw=True, display_id=self._ids[-1])

    def _after_cell(self, _: Any) -> None:
        try:
            self._cell_ended()
        except Exception:  # an error in a display must not fail the cell
            LOG.exception("what a heatmap shows could not be stored in the notebook")

    def close(self) -> None:
        """Stop calling `cell_ended` at the end of cells."""
        if self._shell is not None:
            self._shell.events.unregister("post_run_cell", self._after_cell)
            self._shell = None

    def update(self, result: SimilarityResult) -> None:
        """Show this result in all static outputs of the heatmap."""
        from IPython.display import update_display

        if self._ids:
            bundle = still_bundle(result, self._class)
        for display_id in self._ids:
            # an empty context makes it a message of the running cell, which every front end listens to
            contextvars.Context().run(update_display, bundle, raw=True, display_id=display_id)


def still_bundle(result: SimilarityResult, name: str) -> dict[str, Any]:
    """Return a MIME bundle of a result: HTML, PNG picture and text. A result without samples has no picture.

    `name` is a CSS class of the HTML element.
    """
    if not result.n_samples:
        text = f"{_title(result)}: no numbers yet. The live view needs its kernel."
        html = f'<div class="simwidget-still {name}"><p>{escape(text)}</p></div>'
        return {"text/html": html, "text/plain": text}
    from base64 import b64encode

    picture = b64encode(picture_of(result)).decode()
    partial = "" if result.complete else ", partial"
    text = f"{_title(result)}, {result.n_samples:,} samples{partial}"
    notes = "".join(f"<p>Note: {escape(note)}</p>" for note in result.notes)
    html = (
        f'<div class="simwidget-still {name}"><img alt="{escape(text)}" src="data:image/png;base64,{picture}" '
        f'style="max-width:100%">{notes}</div>'
    )
    return {"text/html": html, "image/png": picture, "text/plain": text}


def picture_of(result: SimilarityResult) -> bytes:
    """Return a PNG picture with one heatmap for each measure, side by side.

    The heatmaps compare the first two models, or the only model with itself. The picture is drawn without pyplot, which
    is not thread-safe.
    """
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    view = next(iter(result.views())) if len(result.models) < 2 else (result.models[0], result.models[1])
    figure = Figure(figsize=(5.6 * len(result.measures), 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    for ax, measure in zip(figure.subplots(1, len(result.measures), squeeze=False)[0], result.measures, strict=True):
        result.plot(measure, ax, view=view)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return file.getvalue()


def _title(result: SimilarityResult) -> str:
    measures = " and ".join(result.title(measure) for measure in result.measures)
    return f"{measures} of {' × '.join(result.models) if len(result.models) < 4 else f'{len(result.models)} models'}"
