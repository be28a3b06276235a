"""One pair of layers in the latest block: Gram matrices, spectra, and on which samples the two agree.

In:     the stack of Gram matrices of a block and its `Samples`.
Out:    `Inspection`, a frozen value of NumPy arrays.
`pair` never imports torch.
"""
