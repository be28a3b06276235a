"""The version of simwidget, as results, files and the package itself tell it."""

__version__ = "0.1.0"
