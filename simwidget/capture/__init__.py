"""From a batch to representations: runs a network with forward hooks on its layers and reads each layer's output.

In:     a network, a `Batch`, and for each layer a `Reading`, which turns the layer's output into its representation.
Out:    one representation (samples, features) for each call of each layer, passed to a callback inside the hook.
No activation is kept: the callback must reduce or copy a representation before it returns.
"""
