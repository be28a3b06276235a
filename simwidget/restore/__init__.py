"""What a run changes outside of itself, and restores: networks, random number generators, threads, torch's settings.

In:     a network, devices.
Out:    context managers, which restore everything on exit, also after an error.
"""
