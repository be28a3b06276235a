"""Runs a comparison: loops over the loader's batches, writes checkpoints, and gives partial results.

In:     the models and the loader, and `Options`, from which a `Plan` is made.
Out:    a `Comparison`. Its property `result` is the `SimilarityResult` of the batches so far. The property may be read
        at any time and from any thread.
To follow the progress of a run, a display passes a callback to `Comparison.watch`.
"""
