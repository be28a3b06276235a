"""Runs a comparison: the loop over the loader's batches, the background thread, checkpoints, and partial results.

In:     the models and the loader, and `Options`, from which a `Plan` is made.
Out:    `Comparison`, which returns the `SimilarityResult` so far at any time, in any thread.
Displays learn of progress by a callback that they pass to `Comparison.watch`.
"""
