"""Text: printable names, "did you mean" suggestions, and descriptions of errors with the place where they occurred.

In:     strings and exceptions from any source.
Out:    strings that are safe to print.
This package imports neither torch nor other packages of simwidget.
"""
