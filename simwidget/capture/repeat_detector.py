"""`RepeatDetector`: detects layers that return the output of the layer before them unchanged."""

import weakref
from typing import Any

from torch import Tensor


class RepeatDetector:
    """Detects whether a layer returns the tensor object that the previous layer returned, with no write in between.

    Only a weak reference to the tensor is kept. Writes are detected by the tensor's version counter. Inference tensors
    have no version counter and never count as repeated.
    """

    def __init__(self) -> None:
        self._previous: tuple[weakref.ref, int] | None = None

    def is_repeat(self, tensor: Any) -> bool:
        """Whether `tensor` was also passed to the previous call of this method, and was not written into since then."""
        if not isinstance(tensor, Tensor) or tensor.is_inference():
            self._previous = None
            return False
        previous = self._previous
        self._previous = (weakref.ref(tensor), tensor._version)
        if previous is None:
            return False
        now = tensor._version
        return previous[0]() is tensor and previous[1] == now
