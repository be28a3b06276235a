"""Text: printable names, "did you mean" suggestions, descriptions of errors, and the reading of untrusted files.

In:     strings, exceptions and files from any source.
Out:    strings that are safe to print; checked values of a file, or an error that says what is wrong with the file.
This package imports no other package of simwidget, and no torch.
"""
