"""The Jupyter widgets that show a heatmap of similarities, and the code that connects the widgets with the browser.

In:     a `Comparison` or a `SimilarityResult`, both read through the interface `Source`.
Out:    messages and synced traits for the front end in `js/`; exported files; a static output that needs no kernel.
Never imports torch.
"""

from simwidget.widget.explorer import SimilarityExplorer
from simwidget.widget.heatmap import SimilarityHeatmap

__all__ = ["SimilarityExplorer", "SimilarityHeatmap"]
