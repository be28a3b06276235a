"""Runs a network with forward hooks on the layers, and defines how a layer's output is turned into a representation.

In:     a network, a `Batch`, a callback, and a `Reading` for each layer.
Out:    each layer's output, passed to the callback inside the hook. The callback uses the layer's `Reading` to turn the
        output into a representation (samples, features).
This package keeps no activations: the callback must reduce or copy what it needs before it returns.
"""
