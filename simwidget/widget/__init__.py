"""The heatmap in the notebook, its pages, and what is sent to them.

In:     a `Comparison` or a `SimilarityResult`, as a `Source`.
Out:    messages and synced traits for the front end in `js/`; files; an output that needs no kernel.
Never imports torch.
"""

from simwidget.widget.explorer import SimilarityExplorer
from simwidget.widget.heatmap import SimilarityHeatmap

__all__ = ["SimilarityExplorer", "SimilarityHeatmap"]
