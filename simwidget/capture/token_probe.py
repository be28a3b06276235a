"""`TokenProbe`: a forward pass over shorter sequences, which shows the layers whose tokens are those of a mask."""

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
"""The number of samples in the pass. With one sample, code such as `squeeze()` may remove the samples' dimension."""
MAX_ERROR_LENGTH = 200


@dataclass(frozen=True)
class TokenProbe:
    """The shapes of all outputs of one network in a forward pass in which the sequences with a mask were shorter."""

    n: int
    """the number of samples in this pass"""
    lengths: Lengths
    """for each mask, the numbers of tokens before and after"""
    shapes: Mapping[str, Sequence[tuple[int, ...]]]
    """call of a layer -> the shapes of the tensors that it returned"""
    maps: Mapping[str, LengthMap]
    """the maps of the network, by name"""

    def tokens(self, call: str, place: int, dim: int, flattened: bool | None, tensor: Tensor) -> TokenDims | None:
        """Return how the dimensions of an output follow the masks, as seen in the complete batch and in this pass.

        Args:
            call: the call of the layer.
            place: the index of the tensor among those that the layer returned.
            dim: the dimension of the samples in that tensor.
            flattened: not None if its dimension 0 has the tokens of all samples, see `Layout.flattened`.
            tensor: the tensor (n, ...) in the pass over the complete batch, with the samples in dimension 0.

        Returns:
            None if the layer did not return such a tensor in this pass.
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
    """Raised if no forward pass over shorter sequences was possible. The message is a clause with the reason."""


Parse = Callable[[Any, int], Batch]
"""Type of a function parse(raw, index) that parses batch number `index` of a network."""


def probe_tokens(
    batch: Batch, parse: Parse, capture: Capture, maps: Mapping[str, LengthMap], unmasked: bool = False
) -> TokenProbe:
    """Run a network on a few samples with shorter sequences, and return the shapes of all outputs.

    Each mask is shortened together with the tensors that have its tokens, each by another number of tokens. If the
    network fails in the middle of the pass, the outputs before that count.

    Args:
        batch: the network's batch.
        parse: parses a smaller batch in the same way.
        capture: the network with its hooks.
        maps: the maps of the network.
        unmasked: whether to shorten inputs without a mask as well.

    Raises:
        TokenProbeError: the sequences are too short, or the network fails at once, or it is unclear which tensors have
            the tokens of a mask.
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
                    problem = f"a pass with shorter sequences failed: {printable(str(error)[:MAX_ERROR_LENGTH])}"
                    begun += [probe] if len(stage) == 1 and shapes else []
                else:
                    passed.append(probe)
                    break
        if len(passed) == 1:
            return passed[0]
        if passed:
            problem = "several tensors of the batch have as many tokens as the mask"
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
