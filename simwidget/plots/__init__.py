"""Pictures of results with matplotlib. They take a result and an `ax`, and return the `ax`."""

from simwidget.plots.heatmap import heatmap

__all__ = ["heatmap"]
