"""From what people ask for to a checked `Plan`: options, devices, networks, confounders, limits, memory.

In:     the keyword arguments of `compare`, and the models.
Out:    `Plan`, frozen. Whatever is wrong with a request is raised here, before anything runs.
"""
