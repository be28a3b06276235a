"""The run: the loop from the loader to the sums, its thread, its checkpoints, and what it answers meanwhile.

In:     a `Plan` and a loader.
Out:    `Comparison`, which gives the `SimilarityResult` of any moment from any thread.
Nothing here knows who is watching; displays call `Comparison.watch`.
"""
