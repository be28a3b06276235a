"""Details of a pair of layers: the latest Gram matrices, their spectra, and the agreement on each sample.

In:     the Gram matrices of all layers on the latest block (one batch, or joined small batches), and its `Samples`.
Out:    `Inspection`, a frozen value of NumPy arrays.
The module `pair_inspection` never imports torch.
"""
