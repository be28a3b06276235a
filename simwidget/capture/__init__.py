"""From a batch to representations: a network is called with hooks on its layers, and each output is read.

In:     a network, a `Batch`, and how each layer is to be read (`Reading`).
Out:    one representation (n, p) for each call of each layer, handed on inside its forward hook.
No activation is kept: whoever takes a representation reduces or copies it before the hook returns.
"""
