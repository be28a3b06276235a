"""The result of a run, in NumPy: estimates, standard errors, reasons for missing numbers, and how the result was made.

In:     arrays and text.
Out:    `SimilarityResult`, the immutable value that all displays read; files, tables and a report made from a result.
This package never imports torch, so that results can be opened where torch is not installed.
"""
