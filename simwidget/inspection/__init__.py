"""Details of a pair of layers on the latest batch: Gram matrices, their spectra, and the agreement on single samples.

In:     the Gram matrices of all layers on the latest block of batches, and its `Samples`.
Out:    `Inspection`, a frozen value of NumPy arrays.
`pair` never imports torch.
"""
