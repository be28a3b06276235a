"""Matplotlib pictures of results: `heatmap` draws a matrix of a `SimilarityResult` on an Axes and returns the Axes."""

from simwidget.plots.heatmap import heatmap

__all__ = ["heatmap"]
