"""Files: written whole or not at all, and read with distrust.

In:     content and a path; a file from anywhere.
Out:    a file that is either the old one or the new one; checked values, or an error that says what is wrong with it.
Imports only `text`, and no torch.
"""
