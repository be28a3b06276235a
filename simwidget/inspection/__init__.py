"""Computes details of a pair of layers: Gram matrices, their spectra, and how well the layers agree on each sample.

In:     the Gram matrices of all layers on the samples of the latest batch, or of several small batches that were
        joined; and the indices, labels and thumbnails of these samples.
Out:    `Inspection`, a frozen dataclass of NumPy arrays.
The module `pair_inspection` never imports torch.
"""
