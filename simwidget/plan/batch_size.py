"""The option `batch_size`: the user's function that returns the number of samples of a batch."""

import operator
from collections.abc import Callable
from typing import Any

from simwidget.text.errors import add_place
from simwidget.text.printable import describe_type

BatchSize = Callable[[Any], int]
"""Type of the user's function from the loader's batch to its number of samples."""


def count_by(function: BatchSize, raw: Any, index: int) -> int:
    """Return the number of samples of batch number `index`, counted by the user's function.

    Raises:
        TypeError: the function does not return a whole number from 0 on.
        Exception: any exception of the function, with a note that names the batch.
    """
    try:
        found = function(raw)
    except Exception as error:
        add_place(error, f"in batch_size= for batch {index}")
        raise
    try:
        n = operator.index(found)
    except TypeError:
        n = -1
    if n < 0:
        what = found if isinstance(found, int | float) else describe_type(found)
        raise TypeError(
            f"batch_size= returned {what} for batch {index}: it must return the number of samples, a whole number"
        )
    return n
