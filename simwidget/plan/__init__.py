"""The options of a comparison, checked against the models before anything runs.

In:     the keyword arguments of `compare`, as an `Options`, and the models.
Out:    a frozen `Plan`: the networks with their devices, and how the output of each layer becomes a representation; the
        confounders; the limits of the run; and one small frozen object of options for each later step (`GramOptions`,
        `PositionOptions`, `CheckpointOptions`).
A wrong option raises its error here. The function `describe` makes such a plan for one network and runs one batch.
"""
