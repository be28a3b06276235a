"""What people see in the notebook."""

from simwidget.widget.explorer import SimilarityExplorer
from simwidget.widget.heatmap import SimilarityHeatmap

__all__ = ["SimilarityExplorer", "SimilarityHeatmap"]
