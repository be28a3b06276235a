"""Matplotlib pictures of results: functions that take a `SimilarityResult` and an Axes and return the Axes."""

from simwidget.plots.heatmap import heatmap

__all__ = ["heatmap"]
