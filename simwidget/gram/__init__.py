"""From a representation to a row: Gram matrices, their centring, and what a row is of.

In:     representations (n, p) of one block of samples, each under its `Key`.
Out:    `Grams`, the stack (R, n, n) of one Gram matrix for each row; row maps that make rows (R, m) of it.
Knows nothing of networks, loaders or measures.
"""
