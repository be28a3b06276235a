"""`Representation`: the values of a layer or confounder on one batch. `Receiver`: callbacks for representations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from simwidget.gram.kernels import Kernel
from simwidget.gram.rows import Key


class Representation(NamedTuple):
    """The representation (m, p) of one layer or confounder on the present batch.

    The memory of the tensor `x` is valid only while the receiver's `add` runs: a later layer may overwrite it.
    """

    key: Key
    x: Tensor
    """(m, p): p features of m samples; with representation="tokens" or "positions", each position is a sample"""
    original: Key | None = None
    """the key of an earlier representation of the same batch that is the same tensor; None if there is none"""
    repeats_child: bool = False
    """whether the layer is a container module that returned its last child's output unchanged"""
    kernel: Kernel | None = None
    """the function that computes the Gram matrix from `x`; None for the linear kernel"""


@dataclass(frozen=True)
class Receiver:
    """Callbacks that are called with the representations of a forward pass, in execution order."""

    begin: Callable[[int], None]
    """called once with the number m of samples, before the first representation"""
    add: Callable[[Representation], None]
    add_missing: Callable[[Key, str], None]
    """called with the key of a layer that has no representation, and the reason"""
