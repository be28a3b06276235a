"""One run of a comparison: the loop over the loader's batches, its thread, its checkpoints, and its results.

In:     a `Plan` and a loader.
Out:    `Comparison`, which gives the `SimilarityResult` of any moment from any thread.
Nothing here knows who is watching; displays call `Comparison.watch`.
"""
