"""Sums over blocks of samples, and the estimates and jackknife standard errors that are computed from these sums.

In:     the Gram matrices (R, n, n) of consecutive blocks of n samples.
Out:    `PassState`, a snapshot of the sums; `evaluate` computes a `SimilarityResult` from it.
The sums are additive: the sums over different parts of the data are merged by adding them.
"""
