"""Whether a layer belongs to the encoder or the decoder of a network."""

from collections.abc import Sequence
from typing import Literal


def encoder_or_decoder(layer: str, order: Sequence[str]) -> Literal["encoder", "decoder", "both"]:
    """Whether a layer processes the tokens of the encoder, of the decoder, or of both, judged by names.

    A layer outside of both is assumed to run after the decoder if it is registered after it, as heads are, and
    otherwise to run once for the encoder and then once for the decoder, as shared embeddings do. In a network without a
    decoder every layer belongs to the encoder.

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
