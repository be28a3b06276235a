"""Where a layer is in a network with an encoder and a decoder."""

from collections.abc import Sequence
from typing import Literal


def encoder_or_decoder(layer: str, order: Sequence[str]) -> Literal["encoder", "decoder", "both"]:
    """Where a layer is in a network with an encoder and a decoder, told by their names and the modules' order.

    What is neither inside the one nor the other runs after both where it is registered after the decoder, as heads
    are; and in both, one after the other, where it comes before, as shared embeddings do.

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
