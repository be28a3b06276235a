"""`read_as`: says in words how a layer's output was read: where the samples are, and which tokens are padding.

Two kinds of additional forward passes help to read an output. In a pass over fewer samples, the dimension that indexes
the samples becomes smaller (see `probing_pass`). In a pass over shorter sequences, the dimension that holds the tokens
becomes smaller (see `TokenProbe`).
"""

from typing import NamedTuple

from simwidget.capture.length_maps import SAME
from simwidget.capture.outputs import Layout
from simwidget.capture.reading import Reading
from simwidget.capture.token_masks import MaskRules
from simwidget.capture.tokens import Tokens


class ReadAs(NamedTuple):
    """How a layer's output was read, in words."""

    samples: str
    """which dimension indexes the samples, and how this was found, such as "dimension 0 (shape)" """
    mask: str
    """which mask of the batch was used, and how it was found; "none" if the layer has no mask

    Empty if the representation needs no mask, or if no mask of the batch fits the layer.
    """

    def __str__(self) -> str:
        return f"samples in {self.samples}" + (f"; mask: {self.mask}" if self.mask else "")


def read_as(
    call: str, reading: Reading, layout: Layout, rules: MaskRules, probed: bool, used: Tokens | None = None
) -> ReadAs:
    """Return how a layer's output was read.

    Args:
        call: the call of the layer.
        reading: how the layer's output becomes a representation.
        layout: where the output contains the samples.
        rules: the `MaskRules` of the network.
        probed: whether a pass over fewer samples was made in this run, and succeeded.
        used: the mask that was chosen without a pass over shorter sequences; None if no mask was chosen in this way.

    >>> str(read_as("fc", Reading("mean"), Layout(0, 1), MaskRules(), probed=True))
    'samples in dimension 1 (pass over fewer samples)'
    """
    if reading.dims_given:
        why = "batch_dim="
    elif probed:
        why = "pass over fewer samples"
    else:
        why = "batch_first=False" if reading.dims[0] == layout.dim == 1 else "shape"
    where = f"dimension {layout.dim}"
    if layout.flattened is not None:
        where += " with the tokens, " + ("samples first" if layout.flattened else "tokens first")
    if layout.place:
        where += f" of tensor {layout.place} of the output"
    return ReadAs(f"{where} ({why})", _mask(call, reading, layout, rules, used))


def _mask(call: str, reading: Reading, layout: Layout, rules: MaskRules, used: Tokens | None) -> str:
    given = rules.given(call)
    if not reading.uses_masks:
        return ""
    if given is not None:
        return f"{given[0] or 'none'} (masks=)"
    if layout.tokens is None:
        return "" if used is None else f"{_named(used)} (number of tokens, and names)"
    followed = [one for one in layout.tokens if one is not None and one.map]
    why = "pass over shorter sequences"
    return f"{', '.join(map(_named, followed)) or 'none'} ({why})"


def _named(tokens: Tokens) -> str:
    return tokens.key + ("" if tokens.map == SAME.name else f" by {tokens.map}")
