"""Parses the loader's batches into `Batch` objects, and records the samples of each Gram matrix as `Samples`.

In:     batches of any structure, from the user's loader.
Out:    `Batch`: inputs, labels, masks and number of samples of a batch.
        `Samples`: indices, labels and thumbnails of the samples of a Gram matrix, for `simwidget.inspection`.
Nothing here depends on layers or models.
"""
