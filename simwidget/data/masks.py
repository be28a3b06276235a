"""`Masks`: which tokens of a batch are real and which are padding."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Masks:
    """The padding masks of one batch: one for the tokens of the encoder, one for the tokens of the decoder.

    Each mask is None or a bool tensor (n, tokens) with True for real tokens. Both masks are None if the batch has no
    padding. In a network without a decoder, the encoder's mask applies to all layers.
    """

    encoder: Tensor | None = None
    decoder: Tensor | None = None

    def matching(self, decoder: bool, n_tokens: int) -> Tensor | None:
        """Return the mask (n, n_tokens) for a layer's output with `n_tokens` tokens; None if no mask has that length.

        If both masks have that length, `decoder` decides: the decoder's mask if true, otherwise the encoder's mask.
        """
        order = (self.decoder, self.encoder) if decoder else (self.encoder, self.decoder)
        return next((mask for mask in order if mask is not None and mask.shape[1] == n_tokens), None)

    @property
    def any(self) -> bool:
        """Whether the encoder or the decoder has a mask."""
        return self.encoder is not None or self.decoder is not None

    def to(self, device: torch.device) -> "Masks":
        """Return the same masks on `device`."""
        return Masks(*(None if mask is None else mask.to(device) for mask in (self.encoder, self.decoder)))


NO_MASKS = Masks()


def find_masks(inputs: Any, n: int, index: int) -> Masks:
    """Return the `Masks` of a batch of n samples. If `inputs` is a mapping, it is searched for masks by their keys.

    A mask may be boolean, numeric with 0 and 1, or additive. An additive mask is floating-point, with 0 for real tokens
    and large negative numbers for padding.

    Raises:
        ValueError: a mask marks all tokens of a sample as padding. The message gives the number of the batch (`index`),
            the sample and the key.
    """
    found: dict[bool, Tensor] = {}
    for key in (*ATTENTION_MASK_KEYS, *PADDING_MASK_KEYS) if isinstance(inputs, Mapping) else ():
        mask = inputs.get(key)
        if not isinstance(mask, Tensor) or mask.ndim != 2 or len(mask) != n or (key in DECODER_MASK_KEYS) in found:
            continue
        # a floating mask of zeros alone is additive: no token is padding
        additive = mask.is_floating_point() and bool((mask < 0).any() or not mask.any())
        real = (mask == 0) if key in PADDING_MASK_KEYS or additive else (mask != 0)
        empty = (~real.any(1)).nonzero().flatten()
        if len(empty):
            raise ValueError(f"batch {index}: sample {int(empty[0])} has no real token in {key!r}; leave it out")
        found[key in DECODER_MASK_KEYS] = real
    given = inputs if isinstance(inputs, Mapping) else {}
    target = next((given[key] for key in DECODER_INPUT_KEYS if isinstance(given.get(key), Tensor)), None)
    if True not in found and target is not None and target.ndim >= 2 and len(target) == n:
        found[True] = torch.ones(target.shape[:2], dtype=torch.bool)  # all of the decoder's tokens are real
    if all(bool(real.all()) for real in found.values()):
        return NO_MASKS
    return Masks(found.get(False), found.get(True))
