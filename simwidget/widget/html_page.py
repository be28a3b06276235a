"""Makes an HTML file with the interactive heatmap of a result. The file needs neither a kernel nor a network."""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from simwidget.result.similarity_result import SimilarityResult
from simwidget.result.views import View
from simwidget.widget.encoding import axes_of, encode_snapshot, info_of
from simwidget.widget.front_end import built
from simwidget.widget.protocol import Detail, Scale, Selection
from simwidget.widget.sources import source_of

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
body {{ margin: 24px; }}
{css}
</style>
<body>
<div id="heatmap"></div>
<script type="application/json" id="given">{given}</script>
<script type="module">
const {{ esm, state, snapshot, details }} = JSON.parse(document.getElementById("given").textContent);
const {{ standalone }} = await import(URL.createObjectURL(new Blob([esm], {{ type: "text/javascript" }})));
window.simwidget = standalone(document.getElementById("heatmap"), state, snapshot, details);
</script>
</body>
</html>
"""


def page_of(
    result: SimilarityResult,
    measure: str | None = None,
    view: View = "xy",
    *,
    shows: str = "values",
    selection: Selection | None = None,
    pinned: Sequence[Selection] = (),
    open_x: Mapping[str, Sequence[str]] | None = None,
    open_y: Mapping[str, Sequence[str]] | None = None,
    scale: Scale | None = None,
    threshold: float = 0.02,
    details: Iterable[tuple[Detail, Sequence[bytes] | None]] = (),
) -> str:
    """Return the text of an HTML file with an interactive heatmap of a result. The file needs no other files.

    Args:
        result: the result to show.
        measure, view, shows, selection, pinned, open_x, open_y, scale, threshold: initial values of the traits of
            `SimilarityHeatmap` with the same names. By default the first measure is shown.
        details: for each pair of layers whose details the page can show, the message and the buffers that
            `encode_detail` returns for the run id "page".

    Raises:
        ValueError: the measure or view is unknown.
        FileNotFoundError: the front end (JavaScript and CSS) has not been built.
    """
    measure = result.measures[0] if measure is None else measure
    result.matrix(measure, view)  # an unknown measure or view fails here
    pair = result.positions(view)
    snapshot, meta = encode_snapshot(result, "page", 1, pair)
    state = {
        "run_id": "page",
        "axes": axes_of(result),
        "run": info_of(source_of(result).progress, list(result.notes)),
        "snapshot_meta": meta,
        "measure": measure,
        "view": pair,
        "shows": shows,
        "selection": selection,
        "pinned": list(pinned),
        "open_x": dict(open_x or {}),
        "open_y": dict(open_y or {}),
        "scale": scale or {"mode": "unit", "limits": {}, "palette": "magma"},
        "threshold": threshold,
    }
    given = {
        "esm": built("heatmap.js"),
        "state": state,
        "snapshot": b64encode(snapshot).decode(),
        "details": [
            {"message": message, "buffers": [b64encode(one).decode() for one in buffers or ()]}
            for message, buffers in details
        ],
    }
    title = " × ".join(result.models) if len(result.models) < 4 else f"{len(result.models)} models"
    # only `<` could end the script element
    text = json.dumps(given).replace("<", "\\u003c")
    # a lone surrogate cannot be encoded in UTF-8, so it is written as a character reference
    title = escape(title).encode("utf-8", "xmlcharrefreplace").decode()
    return PAGE.format(title=title, css=built("heatmap.css"), given=text)
