"""From a loader to a `Batch`: its inputs, labels, masks and number of samples; and which samples those were.

In:     whatever the user's loader gives.
Out:    `Batch`; `Samples` with places, labels and thumbnails for the inspector.
Knows nothing of layers.
"""
