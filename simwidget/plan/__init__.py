"""The options of a comparison, checked against its models before anything runs.

In:     the keyword arguments of `compare`, as an `Options`, and the models.
Out:    a frozen `Plan`: the networks with their devices and readings, the confounders, the limits, and one small frozen
        value for each consumer (`GramOptions`, `PositionOptions`, `CheckpointOptions`).
Every error about an argument is raised here. `describe` runs one batch through one network by such a plan.
"""
