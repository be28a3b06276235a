"""`encoder_or_decoder`: decides whether a layer belongs to the encoder of a network, to the decoder, or to both."""

from collections.abc import Sequence
from typing import Literal


def encoder_or_decoder(layer: str, order: Sequence[str]) -> Literal["encoder", "decoder", "both"]:
    """Return whether a layer processes the tokens of the encoder, of the decoder, or of both, judged by layer names.

    If dotted parts of the layer's name contain "encoder" or "decoder", the last of these parts decides; a part that
    contains both words counts as "decoder". For any other layer, the order of registration decides:

    - Layers after the start of the decoder, such as an output head: "decoder".
    - Layers before the decoder, such as shared embeddings: "both". These layers are assumed to run first on the
      encoder's tokens, then on the decoder's tokens.
    - Layers of a network without a decoder: "encoder".

    Args:
        layer: the name of the layer.
        order: the names of all layers, in the order in which the modules are registered.

    >>> order = ["shared", "encoder", "encoder.0", "decoder", "decoder.0", "head"]
    >>> [encoder_or_decoder(layer, order) for layer in order[::2]]
    ['both', 'encoder', 'decoder']
    """
    inside = [name for name in layer.split(".") if "encoder" in name or "decoder" in name]
    if inside:
        return "decoder" if "decoder" in inside[-1] else "encoder"
    decoder = next((place for place, name in enumerate(order) if "decoder" in name), None)
    if decoder is None:
        return "encoder"
    return "decoder" if order.index(layer) > decoder else "both"


def is_cross_attention(layer: str) -> bool:
    """Whether a layer belongs to the attention of a decoder to the encoder's tokens, judged by its name.

    Some layers of such an attention process the decoder's tokens, and others the encoder's tokens.

    >>> [is_cross_attention(name) for name in ("decoder.0.encoder_attn.k_proj", "EncDecAttention", "decoder.self_attn")]
    [True, True, False]
    """
    name = layer.lower()
    return any(part in name for part in ("cross", "encoder_attn", "encdec", "enc_dec", "src_attn", "multihead_attn"))
