"""Text: printable names, "did you mean" suggestions, and descriptions of errors with the place where they occurred.

In:     strings and exceptions from any source.
Out:    strings that are safe to print.
This package imports no other package of simwidget, and no torch.
"""
