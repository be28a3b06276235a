"""The version of simwidget, in one place for the package, results and files."""

__version__ = "0.1.0"
