"""Temporary changes to networks, random number generators and torch's settings, and limits on torch's threads.

In:     a network, devices.
Out:    context managers, which restore on exit what they have changed, also after an error; functions for threads.
"""
