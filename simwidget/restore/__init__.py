"""What a run changes outside of itself, and how that is put back: networks, random numbers, threads, torch's switches.

In:     a network, devices.
Out:    context managers; on every way out all is as it was before.
"""
