"""`Masks`: the padding masks of a batch, which say which tokens are real and which are padding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

ATTENTION_MASK_KEYS = ("attention_mask", "encoder_attention_mask", "decoder_attention_mask")
"""Keys of masks with 1 for real tokens and 0 for padding. Additive masks are accepted as well, see `find_masks`."""
PADDING_MASK_KEYS = ("src_key_padding_mask", "key_padding_mask", "tgt_key_padding_mask")
"""Keys of masks with True for padding. Additive masks are accepted as well, see `find_masks`."""
DECODER_INPUT_KEYS = ("decoder_input_ids", "decoder_inputs_embeds", "tgt", "labels")
"""Keys of the decoder's input. If the batch has no mask for the decoder, all tokens of this input count as real."""
DECODER_MASK_KEYS = ("decoder_attention_mask", "tgt_key_padding_mask")
NO_PADDING_MASKS = ("global_attention_mask", "cross_attention_mask", "memory_key_padding_mask")
"""Keys that look like the key of a mask, but are not used as masks.

The first two masks do not tell padding from real tokens. The third mask repeats the mask of the encoder's tokens.
"""


@dataclass(frozen=True)
class Masks:
    """The padding masks of one batch. Each mask belongs to the tokens of one input, such as the decoder's input."""

    real: Mapping[str, Tensor] = field(default_factory=dict)
    """key of a mask in the batch -> the mask as a bool tensor (n, tokens), True for real tokens

    If the batch has an input for a decoder, but no mask for it, the key of this input stands for a mask that is True
    for all tokens.
    """
    any: bool = False
    """whether any token is padding"""
    empty: Mapping[str, int] = field(default_factory=dict)
    """key of a mask -> the index of the first sample with only padding; masks without such a sample are left out"""

    def to(self, device: torch.device) -> "Masks":
        """Return the same masks on `device`."""
        return Masks({key: mask.to(device) for key, mask in self.real.items()}, self.any, self.empty)

    def of_part(self, decoder: bool) -> str | None:
        """Return the key of the decoder's mask or of the encoder's mask; None if there is no mask for this part.

        If the batch has no mask for a decoder, the encoder's mask is also the decoder's. This is the case for a decoder
        without an encoder, such as a language model.
        """
        of_decoder = next((key for key in self.real if is_of_decoder(key)), None)
        of_encoder = next((key for key in self.real if not is_of_decoder(key)), None)
        return (of_decoder or of_encoder) if decoder else of_encoder


NO_MASKS = Masks()


def is_mask(key: str) -> bool:
    """Whether a key of a batch is the key of a padding mask: it contains "attention_mask" or "padding_mask".

    The keys in `NO_PADDING_MASKS` are excluded.
    """
    return ("attention_mask" in key or "padding_mask" in key) and key not in NO_PADDING_MASKS


def is_of_decoder(key: str) -> bool:
    """Whether the mask or input with this key belongs to a decoder's tokens."""
    return "decoder" in key or key.startswith("tgt") or key in DECODER_INPUT_KEYS


def find_masks(inputs: Any, n: int, index: int) -> Masks:
    """Return the `Masks` of a batch of n samples, if `inputs` is a mapping; otherwise `Masks` without a mask.

    A mask is a tensor (n, tokens) whose key contains "attention_mask" (1 for real tokens) or "padding_mask" (True for
    padding); see `is_mask`. A mask may be boolean, numeric with 0 and 1, or additive. An additive mask is
    floating-point, with 0 for real tokens and large negative numbers for padding.

    Raises:
        ValueError: a mask whose key is in `ATTENTION_MASK_KEYS` or `PADDING_MASK_KEYS` marks all tokens of a sample as
            padding. The message gives the number of the batch (`index`), the sample and the key.
    """
    given = inputs if isinstance(inputs, Mapping) else {}
    masks = {key: real_tokens(key, value) for key, value in given.items() if _is_mask_entry(key, value, n)}
    empty = {}
    for key, real in masks.items():
        samples = (~real.any(1)).nonzero().flatten()
        if len(samples):
            empty[key] = int(samples[0])
            if key in (*ATTENTION_MASK_KEYS, *PADDING_MASK_KEYS):
                raise ValueError(f"batch {index}: sample {empty[key]} has no real token in {key!r}; leave it out")
    decoder_input = next((key for key in DECODER_INPUT_KEYS if isinstance(given.get(key), Tensor)), None)
    if decoder_input is not None and not any(map(is_of_decoder, masks)):
        tokens = given[decoder_input]
        if tokens.ndim >= 2 and len(tokens) == n:  # without a mask, all tokens of the decoder are real
            masks[decoder_input] = torch.ones(tokens.shape[:2], dtype=torch.bool)
    return Masks(masks, any(not bool(real.all()) for real in masks.values()), empty)


def find_mask(inputs: Mapping[str, Any], key: str) -> Tensor | None:
    """Return the two-dimensional tensor with this key as a mask, bool, True for real tokens; None if there is none.

    The key need not be one that `is_mask` accepts.
    """
    mask = inputs.get(key)
    if not isinstance(mask, Tensor) or mask.ndim != 2 or not _may_be_mask(mask):
        return None
    return real_tokens(key, mask)


def _may_be_mask(mask: Tensor) -> bool:
    """Whether a tensor contains only 0 and 1, or only 0 and negative numbers as an additive mask does."""
    return mask.dtype == torch.bool or bool(((mask == 0) | (mask == 1)).all() or (mask <= 0).all())


def real_tokens(key: str, mask: Tensor) -> Tensor:
    """Return a mask as a bool tensor of the same shape, True for real tokens. `find_masks` says what masks mean."""
    if key.rpartition(".")[2] == "padding_mask" and not mask.is_floating_point() and mask.ndim == 2:
        return _real_by_shape(mask != 0)
    # a floating mask of zeros alone is additive: no token is padding
    additive = mask.is_floating_point() and bool((mask < 0).any() or not mask.any())
    return (mask == 0) if "padding_mask" in key or additive else (mask != 0)


def _real_by_shape(mask: Tensor) -> Tensor:
    """Return the real tokens of a mask of which libraries disagree whether True is padding.

    Sequences are padded at one end only. So no sample is all padding, and at one end all samples have a real token. If
    both readings agree with this or neither does, True is padding, as in torch.
    """
    readings = [one for one in (~mask, mask) if bool(one.any(1).all() and (one[:, 0].all() or one[:, -1].all()))]
    return readings[0] if len(readings) == 1 else ~mask


def _is_mask_entry(key: Any, value: Any, n: int) -> bool:
    if not isinstance(key, str) or not is_mask(key) or not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and value.ndim == 2 and len(value) == n
