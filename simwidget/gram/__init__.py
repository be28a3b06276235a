"""From representations to rows: Gram matrices, their centring, and the row maps whose inner products are the measures.

In:     representations (n, p) of one block of samples, each under its `Key`.
Out:    `Grams`, a stack (R, n, n) with one Gram matrix for each layer or confounder; row maps turn it into rows (R, m).
Depends on no network, loader or measure.
"""
