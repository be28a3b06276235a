"""Sums over blocks of samples, and the estimates and jackknife standard errors that are computed from these sums.

In:     the Gram matrices (R, n, n) of one block of n samples after the other.
Out:    `PassState`, a snapshot of the sums; `evaluate` computes a `SimilarityResult` from it.
The sums are additive: those of different parts of the data can be merged by adding them.
"""
