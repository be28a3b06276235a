"""Gram matrices of layers and confounders: computes and centres them, and flattens them to vectors.

Confounders, such as the models' input, are representations whose influence dCKA removes.

In:     representations (n, p), with n samples and p features. A `Key` identifies the layer or confounder.
Out:    `Grams`, with a stack (R, n, n): one Gram matrix for each of the R layers and confounders. A row map is a
        function that centres and flattens these matrices to R vectors (R, m), called rows. Measures are computed from
        the inner products of rows.
This package does not depend on networks, loaders or measures.
"""
