"""What a run gives: estimates, standard errors, reasons and provenance, as NumPy arrays.

In:     arrays and text.
Out:    `SimilarityResult`, the frozen value that every display gets; files, tables and a report made of it.
Never imports torch, so a result can be opened where torch is not installed.
"""
