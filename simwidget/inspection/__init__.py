"""Details of a pair of layers: the latest Gram matrices, their spectra, and the agreement on each sample.

In:     the Gram matrices of all layers on the latest block of samples (one batch, or several small batches that were
        joined), and the `Samples` of this block.
Out:    `Inspection`, a frozen dataclass of NumPy arrays.
The module `pair_inspection` never imports torch.
"""
