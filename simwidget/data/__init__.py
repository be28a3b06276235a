"""From the loader to a `Batch`: inputs, labels, masks and number of samples; and which samples a Gram matrix is of.

In:     batches of any structure, from the user's loader.
Out:    `Batch`; `Samples` with indices, labels and thumbnails for the inspector.
Nothing here depends on layers or models.
"""
