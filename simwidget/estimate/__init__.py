"""Sums over blocks of samples, and estimates with jackknife standard errors that are computed from these sums.

In:     the Gram matrices (R, n, n) of consecutive blocks of n samples, for R layers and confounders.
Out:    `PassState`, a snapshot of the sums. `evaluate` computes a `SimilarityResult` from this snapshot.
The sums over different parts of the data can be merged by addition.
"""
