"""Gram matrices of layers and confounders: how they are computed, centred and flattened to vectors.

In:     representations (n, p), with n samples and p features, each under the `Key` of its layer or confounder.
Out:    `Grams`, a stack (R, n, n) with one Gram matrix for each of the R layers and confounders. Row maps centre and
        flatten this stack to vectors (R, m), called rows; measures are computed from the inner products of rows.
Depends on no network, loader or measure.
"""
