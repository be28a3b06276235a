"""Gram matrices of layers and confounders: how they are computed, centred and flattened to vectors.

In:     representations (n, p), with n samples and p features, each under the `Key` of its layer or confounder.
Out:    `Grams`, with a stack (R, n, n): one Gram matrix for each of the R layers and confounders. Row maps centre and
        flatten this stack to vectors (R, m), called rows. Measures are computed from the inner products of rows.
This package does not depend on networks, loaders or measures.
"""
