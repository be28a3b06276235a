"""`encoder_or_decoder`: whether a layer belongs to the encoder or the decoder of a network."""

from collections.abc import Sequence
from typing import Literal


def encoder_or_decoder(layer: str, order: Sequence[str]) -> Literal["encoder", "decoder", "both"]:
    """Return whether a layer processes the tokens of the encoder, of the decoder, or of both, judged by layer names.

    A layer with "encoder" or "decoder" in its name belongs to this part; if the name contains both words, the last
    one counts. Any other layer belongs to the decoder if it is registered after the decoder, as output heads are. If
    such a layer is registered before the decoder, as shared embeddings are, it is assumed to run first for the encoder
    and then for the decoder: "both". In a network without a decoder every layer belongs to the encoder.

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
