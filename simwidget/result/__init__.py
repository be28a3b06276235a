"""The result of a run: estimates, standard errors, reasons for missing numbers and provenance, in NumPy.

In:     arrays and text.
Out:    `SimilarityResult`, the immutable value that all displays read; files, tables and a report of it.
Never imports torch, so that results can be opened where torch is not installed.
"""
