"""Temporary changes to networks, random number generators and torch's settings, and limits on torch's threads.

In:     a network, devices.
Out:    context managers that undo their changes on exit, also after an error; functions that limit torch's threads.
"""
