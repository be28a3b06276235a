"""Writes files so that no file is ever half written, and reads files whose content may be damaged or malicious.

In:     content and a path, for writing; the path of a file from any source, for reading.
Out:    from writing, the complete new file, or the unchanged old file if there was an error; from reading, checked
        values, or an error that says what is wrong with the file.
The only other simwidget package that this package imports is `text`. It does not import torch.
"""
