"""`Representation`, the output of a forward pass for one layer or confounder, and `Receiver`, which gets it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from simwidget.gram.kernels import Kernel
from simwidget.gram.rows import Key


class Representation(NamedTuple):
    """A representation of one layer or confounder on the present batch.

    Its memory is valid only while the receiver's `add` runs: a later layer may overwrite it.
    """

    key: Key
    x: Tensor
    """(m, p): m samples, or positions where these are the samples, and p features"""
    original: Key | None = None
    """the key of an earlier representation of the same batch that is the same tensor"""
    repeats_child: bool = False
    """whether this is a container that returned its last child's output unchanged"""
    kernel: Kernel | None = None
    """makes its Gram matrix; None for the linear kernel"""


@dataclass(frozen=True)
class Receiver:
    """What is called with the representations of a forward pass, in execution order."""

    begin: Callable[[int], None]
    """called once with the number of samples, before the first representation"""
    add: Callable[[Representation], None]
    add_missing: Callable[[Key, str], None]
    """called with the key of a layer that has no representation, and the reason"""
