"""Words in and out: names made printable, near matches, errors with their place, values read from untrusted files.

In:     strings, exceptions and parsed JSON from anywhere.
Out:    strings that are safe to print, or an error that says what is wrong.
Imports nothing of simwidget, and no torch.
"""
