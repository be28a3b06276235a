"""From rows to results: sums over blocks of samples in groups, estimates, and jackknife standard errors.

In:     the Gram matrices of one block of samples after the other.
Out:    `PassState`, a snapshot of the sums; `evaluate` computes a `SimilarityResult` from it.
The state is additive: sums of different parts of the data can be merged by adding them.
"""
