"""`Representation`: the values of a layer or confounder on one batch. `Receiver`: callbacks for representations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from simwidget.gram.kernels import Kernel
from simwidget.gram.rows import Key


class Representation(NamedTuple):
    """The representation (m, p) of one layer or confounder on the present batch.

    The values of `x` are valid only until the receiver's `add` returns, because a later layer may overwrite the tensor.
    """

    key: Key
    x: Tensor
    """(m, p): p features of m samples

    With representation="tokens" or "positions", each token, or each place of a feature map, counts as a sample.
    """
    original: Key | None = None
    """if an earlier representation of the same batch is the same tensor, the key of that representation; else None"""
    repeats_child: bool = False
    """whether the layer is a container module that returned its last child's output unchanged"""
    kernel: Kernel | None = None
    """the function that computes the Gram matrix from `x`; None for the linear kernel"""


@dataclass(frozen=True)
class Receiver:
    """Callbacks that receive the representations of one batch, in execution order."""

    begin: Callable[[int], None]
    """called once for each batch, with the number m of samples, before the batch's first representation"""
    add: Callable[[Representation], None]
    add_missing: Callable[[Key, str], None]
    """called with the key of a layer that has no representation, and with the reason"""
