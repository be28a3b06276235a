"""The result of a run as NumPy arrays and text, for displays, files, tables and a report.

In:     estimates, standard errors, reasons for missing numbers, and a record of the run.
Out:    `SimilarityResult`, the immutable object that all displays read; files, tables and a report of a result.
This package never imports torch, so that results can be opened where torch is not installed.
"""
