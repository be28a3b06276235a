"""`LengthMap`: computes the mask of a layer's tokens from the mask of the input's tokens.

A mask is True for real tokens and False for padding. A layer may have other tokens than the input: a speech model turns
the audio samples of a waveform into fewer frames.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from simwidget.capture.layers import named_layers
from simwidget.capture.wrappers import innermost

FRAME_LENGTHS = "_get_feat_extract_output_lengths"
"""The name of the method of speech models that computes numbers of frames from numbers of audio samples."""
FRAME_MASK = "_get_feature_vector_attention_mask"
"""The name of the method of speech models that computes the mask of the frames from the mask of the audio samples."""
VIRTUAL_TOKENS = "num_virtual_tokens"
"""The name of the attribute with the number of learned tokens that prompt tuning puts before the input's tokens."""


@dataclass(frozen=True)
class LengthMap:
    """A function from the mask of the input's tokens to the mask of a layer's tokens, with a name."""

    name: str
    """the name in results and checkpoints; unique in a network"""
    real: Callable[[Tensor, int], Tensor]
    """mask of the input's tokens (n, tokens), number of the layer's tokens -> mask of the layer's tokens (n, tokens)

    Some maps raise ValueError if padding is not at the ends of the sequences, or if the layer has another number of
    tokens than follows from the input's. A method of the user's network may raise any exception. A returned mask may
    have another number of tokens than the layer: check this number.
    """

    def fits(self, tokens: int, of_layer: int) -> bool:
        """Whether an input of `tokens` real tokens gives `of_layer` real tokens in the layer."""
        return self.fits_padded(tokens, tokens, of_layer, of_layer)

    def fits_padded(self, tokens: int, real: int, of_layer: int, real_of_layer: int) -> bool:
        """Whether `real` real tokens and then padding, `tokens` in all, give `real_of_layer` of `of_layer` tokens."""
        try:
            found = self.real(torch.arange(tokens)[None] < real, of_layer)
        except Exception:  # a method of the user's network
            return False
        expected = torch.arange(of_layer) < real_of_layer
        return tuple(found.shape) == (1, of_layer) and torch.equal(found[0].cpu(), expected)


def _same(mask: Tensor, tokens: int) -> Tensor:
    return mask


SAME = LengthMap("same", _same)
"""The map for layers that have the same tokens as the input."""
OWN = (SAME.name, FRAME_LENGTHS, FRAME_MASK)
"""The names of the maps that are used even if another map with the same numbers of tokens gives another mask."""


def agree(maps: Sequence[LengthMap], tokens: int, of_layer: int) -> bool:
    """Whether the first map may be used for a layer: it is among `OWN`, or all maps give the same mask.

    The maps are compared on a mask with sequences of up to `N_COMPARED` lengths and padding at their ends.

    Args:
        maps: the maps that fit the numbers of tokens of the input and of the layer.
        tokens: the number of tokens of the input.
        of_layer: the number of tokens of the layer.
    """
    if maps[0].name in OWN or len(maps) == 1:
        return True
    lengths = torch.linspace(1, tokens, min(tokens, N_COMPARED)).long()
    mask = torch.arange(tokens) < lengths[:, None]
    first, *others = (one.real(mask, of_layer) for one in maps)
    return all(torch.equal(first, one) for one in others)


N_COMPARED = 64
"""The largest number of lengths for which `agree` compares maps."""


def length_maps(model: nn.Module) -> dict[str, LengthMap]:
    """Return the maps that layers of a network may need, by name. The most reliable maps come first.

    The maps are, in this order:

    1. `SAME`.
    2. The methods `FRAME_LENGTHS` and `FRAME_MASK`, if the network has them.
    3. For each number `VIRTUAL_TOKENS` in the network: this number of real tokens, and then the input's tokens.
    4. For each one-dimensional convolution or pooling: the numbers of tokens after this module and all earlier modules
       of these kinds, in the order in which the network defines them.
    """
    return {one.name: one for one in (SAME, *_own_maps(model), *_virtual_tokens(model), *_convolution_maps(model))}


def _own_maps(model: nn.Module) -> Iterator[LengthMap]:
    modules = [innermost(model), *named_layers(model).values()]
    lengths = next((getattr(one, FRAME_LENGTHS) for one in modules if hasattr(one, FRAME_LENGTHS)), None)
    mask = next((getattr(one, FRAME_MASK) for one in modules if hasattr(one, FRAME_MASK)), None)
    if lengths is not None:
        yield _by_lengths(FRAME_LENGTHS, lambda given: torch.as_tensor(lengths(given)))
    if mask is not None:
        yield LengthMap(FRAME_MASK, lambda given, tokens: mask(tokens, given.long()).bool())


def _virtual_tokens(model: nn.Module) -> Iterator[LengthMap]:
    holders: list[Any] = [innermost(model), *named_layers(model).values()]
    for one in tuple(holders):
        configs = getattr(one, "peft_config", None)
        holders += configs.values() if isinstance(configs, dict) else []
    counts = {getattr(one, VIRTUAL_TOKENS, None) for one in holders}
    for count in sorted(one for one in counts if type(one) is int and one > 0):

        def with_prefix(mask: Tensor, tokens: int, count: int = count) -> Tensor:
            return torch.cat([mask.new_ones(len(mask), count), mask], 1)

        yield LengthMap(f"{VIRTUAL_TOKENS} {count}", with_prefix)


def _convolution_maps(model: nn.Module) -> Iterator[LengthMap]:
    steps: list[Callable[[Tensor], Tensor]] = []
    for name, module in named_layers(model).items():
        step = _step(module)
        if step is not None:
            steps.append(step)
            yield _by_lengths(f"lengths up to {name}", _chain(tuple(steps)))


def _by_lengths(name: str, lengths: Callable[[Tensor], Tensor]) -> LengthMap:
    """Return the map for a function from the input's numbers of tokens (n,) to the layer's numbers of tokens (n,)."""

    def real(mask: Tensor, tokens: int) -> Tensor:
        counts = mask.sum(1)
        if not bool((mask == (torch.arange(mask.shape[1], device=mask.device) < counts[:, None])).all()):
            raise ValueError("its sequences have padding before or between real tokens")
        longest = int(lengths(counts.new_tensor([mask.shape[1]]))[0])
        if longest != tokens:
            raise ValueError(f"{mask.shape[1]} tokens of the input give {longest} tokens, and the layer has {tokens}")
        return torch.arange(tokens, device=mask.device) < lengths(counts).to(mask.device)[:, None]

    return LengthMap(name, real)


def _chain(steps: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    def lengths(counts: Tensor) -> Tensor:
        for step in steps:
            counts = step(counts)
        return counts

    return lengths


def _step(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """Return the function from input lengths to output lengths of a one-dimensional convolution or pooling module.

    Return None for other modules.
    """
    if not isinstance(module, nn.Conv1d | nn.MaxPool1d | nn.AvgPool1d):
        return None
    kernel, stride, padding, dilation = (
        _first(getattr(module, name, 1)) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    if padding == "same":
        return lambda counts: counts
    border = 0 if padding == "valid" else padding
    up = getattr(module, "ceil_mode", False)

    def step(counts: Tensor) -> Tensor:
        places = counts + 2 * border - dilation * (kernel - 1) - 1
        places = places + (stride - 1 if up else 0)
        return (torch.div(places, stride, rounding_mode="floor") + 1).clamp_min(0)

    return step


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value
