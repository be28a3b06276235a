"""Details of a pair of layers: their latest Gram matrices, the spectra of these, and the agreement on single samples.

In:     the Gram matrices of all layers on the latest block (one batch, or joined small batches), and its `Samples`.
Out:    `Inspection`, a frozen value of NumPy arrays.
The module `pair` never imports torch.
"""
