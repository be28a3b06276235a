"""From options to a plan: checks the options of a comparison against the models, before anything runs.

In:     an `Options`, which holds the keyword arguments of `compare`; and the models.
Out:    a frozen `Plan`: the networks with their devices; how the output of each layer becomes a representation; the
        measures and confounders; the limits of the run; and options for later steps (`GramOptions`, `PositionOptions`,
        `CheckpointOptions`).
A wrong option raises ValueError or TypeError in this package. The function `describe` makes a `Plan` for one network,
runs one batch, and lists the layers.
"""
