"""`TokenProbe`: a pass over shorter sequences, which shows which layers have the tokens of which mask.

A mask (n, tokens) says which tokens of an input are padding. In a pass over shorter sequences, a network runs on a few
samples of a batch, and tokens are cut off the ends of the sequences. A dimension of a layer's output that becomes
smaller in this pass holds the tokens of these sequences.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from simwidget.capture.hooks import Capture
from simwidget.capture.length_maps import LengthMap, agree
from simwidget.capture.probe import shape_of
from simwidget.capture.tokens import TokenDims, Tokens
from simwidget.data.batch import Batch
from simwidget.data.nested import tensors_in
from simwidget.data.splitting import take_samples
from simwidget.data.token_groups import Lengths, TokenGroups, shorten, shorter_lengths
from simwidget.text.printable import printable

SAMPLES = 2
"""The largest number of samples in the pass. It is more than one, because `squeeze()` in a network's code would remove
a dimension with one sample."""
MAX_ERROR_LENGTH = 200
"""The largest number of characters of a network's error message that are quoted."""


@dataclass(frozen=True)
class TokenProbe:
    """The shapes of all outputs of one network in a pass over shorter sequences."""

    n: int
    """the number of samples in this pass"""
    lengths: Lengths
    """for each key of a mask or input: the number of tokens in the batch, and the number of tokens in this pass"""
    shapes: Mapping[str, Sequence[tuple[int, ...]]]
    """call of a layer -> the shapes of the tensors that the call returned"""
    maps: Mapping[str, LengthMap]
    """the `LengthMap` objects of the network, by name"""

    def tokens(self, call: str, place: int, dim: int, flattened: bool | None, tensor: Tensor) -> TokenDims | None:
        """Return how the dimensions of an output follow masks, from the sizes in the complete batch and in this pass.

        Args:
            call: the call of the layer.
            place: the index of the tensor among those that the layer returned.
            dim: the dimension of the samples in that tensor.
            flattened: not None if dimension 0 of that tensor has the tokens of all samples, see `Layout.flattened`.
            tensor: the tensor (n, ...) in the pass over the complete batch, with the samples in dimension 0.

        Returns:
            The `Tokens` of each dimension except the first. None if the call did not run in this pass, or returned no
            tensor with the same number of dimensions and the samples in the same place.
        """
        shapes = self.shapes.get(call, ())
        shape = list(shapes[place]) if place < len(shapes) else []
        if flattened is not None and shape:
            shape[:1] = [self.n, shape[0] // self.n] if shape[0] % self.n == 0 else []
        elif len(shape) > dim:
            shape.insert(0, shape.pop(dim))
        if len(shape) != tensor.ndim or shape[0] != self.n:
            return None
        return tuple(self._dimension(*sizes) for sizes in zip(tensor.shape[1:], shape[1:], strict=True))

    def _dimension(self, size: int, shorter: int) -> Tokens | None:
        found = [
            (key, one)
            for key, (before, after) in self.lengths.items()
            for one in self.maps.values()
            if one.fits(before, size) and one.fits(after, shorter) and one.fits_padded(before, after, size, shorter)
        ]
        if size == shorter and not found:
            return None
        keys = list(dict.fromkeys(key for key, _ in found)) or list(self.lengths)
        if len(keys) > 1:
            return Tokens("", "")
        is_clear = found and size != shorter and agree([one for _, one in found], self.lengths[keys[0]][0], size)
        return Tokens(keys[0], found[0][1].name if is_clear else "")


class TokenProbeError(Exception):
    """Raised if a pass over shorter sequences was not possible. The message is a clause with the reason."""


Parse = Callable[[Any, int], Batch]
"""Type of a function parse(raw, index) that parses `raw`, batch number `index` for one network."""


def probe_tokens(
    batch: Batch, parse: Parse, capture: Capture, maps: Mapping[str, LengthMap], unmasked: bool = False
) -> TokenProbe:
    """Run a network on a few samples with shorter sequences, and return the shapes of all outputs.

    A mask and the tensors with its tokens form a group, see `TokenGroups`. All tensors of a group lose the same number
    of tokens. If possible, different groups lose different numbers of tokens. If it is unclear which tensors belong to
    a group, several passes are tried. If every pass fails, the pass that recorded the outputs of the most layers before
    its failure is used.

    Args:
        batch: the network's batch.
        parse: parses the chosen samples, in the same way as the batch.
        capture: the network with its hooks.
        maps: the `LengthMap` objects of the network, by name.
        unmasked: whether to shorten inputs without a mask as well.

    Raises:
        TokenProbeError: the sequences are too short, the network fails before any layer has an output, or it is unclear
            which tensors have the tokens of a mask.
    """
    n = min(batch.n, SAMPLES)
    problem = "the sequences are too short to be shortened"
    begun: list[TokenProbe] = []
    for stage in TokenGroups(batch).stages(unmasked):
        passed: list[TokenProbe] = []
        for groups in stage:
            for cut_half in (True, False):
                lengths = shorter_lengths(groups, cut_half)
                if not lengths:
                    continue
                shapes: dict[str, Sequence[tuple[int, ...]]] = {}
                probe = TokenProbe(n, lengths, shapes, maps)
                try:
                    few = parse(take_samples(batch.raw, batch, slice(0, n)), 0)
                    _record_shapes(capture, shorten(few, groups, lengths), shapes)
                except Exception as error:
                    problem = f"a pass over shorter sequences failed: {printable(str(error)[:MAX_ERROR_LENGTH])}"
                    begun += [probe] if len(stage) == 1 and shapes else []
                else:
                    passed.append(probe)
                    break
        if len(passed) == 1:
            return passed[0]
        if passed:
            problem = "it is unclear which tensors of the batch have the tokens of the mask"
            begun.clear()
    if begun:
        return max(begun, key=lambda one: len(one.shapes))
    raise TokenProbeError(problem)


def _record_shapes(capture: Capture, part: Batch, shapes: dict[str, Sequence[tuple[int, ...]]]) -> None:
    def record(call: str, output: Any, inputs: Any) -> None:
        shapes[call] = tuple(shape_of(one) for one in tensors_in(output))

    try:
        capture.forward(part, record)
    finally:
        part.uploads.clear()
