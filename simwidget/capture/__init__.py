"""From a batch to representations: runs a network with forward hooks on its layers and reads each layer's output.

In:     a network, a `Batch`, and a `Reading` for each layer.
Out:    one representation (n, p) for each call of each layer, passed to a callback inside the forward hook.
No activation is kept: the callback must reduce or copy a representation before it returns.
"""
