"""`LengthMap`: tells, for a layer that has other tokens than the input, which of its tokens are real."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from simwidget.capture.layers import named_layers
from simwidget.capture.wrappers import innermost

FRAME_LENGTHS = "_get_feat_extract_output_lengths"
"""The method of speech models that gives the numbers of frames for numbers of audio samples."""
FRAME_MASK = "_get_feature_vector_attention_mask"
"""The method of speech models that gives the mask of the frames for the mask of the audio samples."""
VIRTUAL_TOKENS = "num_virtual_tokens"
"""The attribute of prompt tuning that gives the number of learned tokens in front of the input's tokens."""


@dataclass(frozen=True)
class LengthMap:
    """How the tokens of a layer follow from the tokens of the input."""

    name: str
    """the name in results and checkpoints; unique in a network"""
    real: Callable[[Tensor, int], Tensor]
    """mask of the input's tokens (n, tokens) and the layer's number of tokens -> mask of the layer's tokens (n, ...)

    Raises ValueError if the mask is not that of sequences with padding at their end, but has to be.
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
"""The map of layers that have the tokens of the input."""
OWN = (SAME.name, FRAME_LENGTHS, FRAME_MASK)
"""The names of the maps that count even if other maps, which only fit the same lengths, say something else."""


def agree(maps: Sequence[LengthMap], tokens: int, of_layer: int) -> bool:
    """Whether all maps give the same tokens of a layer, or the first one is among `OWN`.

    Args:
        maps: the maps.
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
"""The largest number of lengths at which two maps are compared."""


def length_maps(model: nn.Module) -> dict[str, LengthMap]:
    """Return the possible maps of a network, by name, the most reliable first.

    These are: `SAME`; the network's own methods, which speech models have; the virtual tokens of prompt tuning, which
    stand in front; and the lengths that follow from the network's one-dimensional convolutions and poolings, one map
    for each number of them that have run.
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
    """Return the map that follows from a function from numbers of tokens (n,) to the layer's numbers of tokens (n,)."""

    def real(mask: Tensor, tokens: int) -> Tensor:
        counts = mask.sum(1)
        if not bool((mask == (torch.arange(mask.shape[1], device=mask.device) < counts[:, None])).all()):
            raise ValueError("its sequences have padding in front or between real tokens")
        longest = int(lengths(counts.new_tensor([mask.shape[1]]))[0])
        if longest != tokens:
            raise ValueError(f"{mask.shape[1]} tokens give {longest} in this layer, and it has {tokens}")
        return torch.arange(tokens, device=mask.device) < lengths(counts).to(mask.device)[:, None]

    return LengthMap(name, real)


def _chain(steps: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    def lengths(counts: Tensor) -> Tensor:
        for step in steps:
            counts = step(counts)
        return counts

    return lengths


def _step(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """Return how a one-dimensional convolution or pooling changes lengths; None for other modules."""
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
