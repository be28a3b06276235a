"""What people see in the notebook."""

from simwidget.widget.heatmap import SimilarityHeatmap

__all__ = ["SimilarityHeatmap"]
