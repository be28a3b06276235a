"""From rows to numbers: additive sums in groups, and the estimates and standard errors that follow from them.

In:     Gram matrices of one block after the other.
Out:    `PassState`, the sums at one moment; of that `evaluate` makes a `SimilarityResult`.
Everything that is summed is additive, so that parts computed apart can be merged by adding them.
"""
