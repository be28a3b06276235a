"""`TokenMasks`: chooses the mask of each layer's tokens, so that pooling leaves out padding.

A mask (n, tokens) says which tokens of an input are real and which are padding. A layer's tokens may be those of one
input of several, or tokens without a mask, such as the patches of an image. A pass over shorter sequences shows the
difference, see `TokenProbe`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from simwidget.capture.encoder_decoder import is_cross_attention
from simwidget.capture.length_maps import OWN, SAME, LengthMap
from simwidget.capture.outputs import RepresentationError
from simwidget.capture.patterns import matches
from simwidget.capture.tokens import TokenDims, Tokens
from simwidget.data.batch import Batch
from simwidget.data.masks import NO_MASKS, Masks, find_mask, is_mask
from simwidget.data.token_groups import TokenGroups
from simwidget.text.suggestions import did_you_mean


@dataclass(frozen=True)
class MaskRules:
    """What is known about the masks of a network's layers before the network runs."""

    rules: tuple[tuple[str, str | None], ...] = ()
    """the user's option `masks`: pairs of a layer pattern and the key of a mask, or None for no mask

    For each layer, the first rule with a matching pattern applies.
    """
    model: str = ""
    """the name of the model, for patterns such as "model:layer" """
    maps: Mapping[str, LengthMap] = field(default_factory=dict)
    """the network's `LengthMap` objects, by name"""
    names_parts: bool = False
    """whether the names of the network's layers tell an encoder from a decoder"""

    def given(self, call: str) -> tuple[str | None] | None:
        """Return the key in the rule for a call of a layer, as a tuple (key,); None if no rule matches.

        The tuple (None,) means that the layer has no mask.
        """
        for pattern, key in self.rules:
            if matches(pattern, self.model, call):
                return (key,)
        return None


@dataclass
class TokenMasks:
    """Chooses the mask of each layer's tokens, in one forward pass of one network.

    The first rule that applies gives the mask:

    1. The user named a mask for the layer in the option `masks`: this mask.
    2. There was a pass over shorter sequences: the mask whose tokens the layer followed in this pass, or no mask if the
       layer followed none. If the layer has other tokens than the mask, such as the frames of audio samples, a
       `LengthMap` computes the layer's mask.
    3. Otherwise, only a mask that gives as many tokens as the layer has can be chosen. In a network with "decoder" in
       the names of its layers, the layer's name tells whether it has the encoder's or the decoder's mask. If that mask
       has another number of tokens, the only mask with the layer's number of tokens is chosen. In other networks, the
       only mask of a batch is chosen if all other inputs of the batch have its tokens.
    """

    masks: Masks = NO_MASKS
    """the masks of the batch, on the device of the network"""
    rules: MaskRules = field(default_factory=MaskRules)
    batch: Batch | None = None
    """the batch; None if it has no masks"""
    problem: str = ""
    """why the pass over shorter sequences failed; empty if it did not fail, or was not needed"""
    by_name: dict[str, Tokens | None] = field(default_factory=dict)
    """call of a layer -> the mask that was chosen without a pass over shorter sequences; None if no mask fits"""
    unmasked: dict[str, int] = field(default_factory=dict)
    """call of a layer without such a pass, and without a mask that fits -> the number of its tokens"""
    _made: dict[tuple[str, str, int], Tensor] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether any token of the batch is padding, or may be padding because the user named a mask."""
        return self.masks.any or any(key is not None for _, key in self.rules.rules)

    def choose(self, call: str, dims: TokenDims | None, dim: int, decoder: bool, n_tokens: int) -> Tokens | None:
        """Return the mask of a layer's tokens, and the map to these tokens; None if the tokens have no mask.

        Args:
            call: the call of the layer.
            dims: how the dimensions of the layer's output followed masks in a pass over shorter sequences; None if
                there was no such pass.
            dim: the dimension of the output that holds the tokens.
            decoder: whether the layer's name says that the layer has the decoder's tokens.
            n_tokens: the number of the layer's tokens.

        Raises:
            RepresentationError: it is unclear which mask the tokens have.
            ValueError: the option `masks` names a key that is not the key of a mask in the batch.
        """
        given = self.rules.given(call)
        if given is not None:
            return None if given[0] is None else self._given(given[0], n_tokens)
        if dims is None:
            self.by_name[call] = self._by_names(call, decoder, n_tokens)
            if self.by_name[call] is None:
                self.unmasked[call] = n_tokens
            return self.by_name[call]
        tokens = dims[dim - 1]
        if tokens is not None and tokens.key and tokens.key not in self.masks.real:
            return None  # this batch lacks the mask, so no token of the input is padding
        if tokens is not None and not tokens.map:
            raise RepresentationError(self._unclear(call, tokens, n_tokens))
        return tokens

    def mask(self, tokens: Tokens, call: str, n_tokens: int) -> Tensor | None:
        """Return the mask (n, n_tokens) of a layer's tokens, True for real tokens; None if the batch has no such mask.

        Raises:
            RepresentationError: the mask of the layer's tokens cannot be computed, the layer has another number of
                tokens than this mask, or the mask of the batch marks all tokens of a sample as padding.
        """
        made = (tokens.key, tokens.map, n_tokens)
        real = self.masks.real.get(tokens.key)
        if real is not None and made not in self._made:
            self._made[made] = self._apply(tokens, real, call, n_tokens)
        return self._made.get(made)

    def of_input(self, dims: TokenDims | None) -> Tensor | None:
        """Return the mask of the input whose tokens a layer processes, for a callable representation.

        Args:
            dims: how the dimensions of the layer's output followed masks in a pass over shorter sequences. None if
                there was no such pass; the only mask of a batch then counts for all layers.

        Returns:
            The mask (n, tokens of the input), True for real tokens. None if the batch has no mask, if the layer follows
            no mask, or if it is unclear which of several masks counts.
        """
        keys = list(self.masks.real) if dims is None else [one.key or None for one in dims if one is not None]
        if None in keys and len(self.masks.real) == 1:
            keys = list(self.masks.real)
        return self.masks.real.get(keys[0]) if len(keys) == 1 and keys[0] is not None else None

    def _apply(self, tokens: Tokens, real: Tensor, call: str, n_tokens: int) -> Tensor:
        try:
            found = self.rules.maps[tokens.map].real(real, n_tokens)
        except Exception as problem:
            raise RepresentationError(
                f"the mask of its tokens cannot be computed from mask {tokens.key!r} ({problem}): {_ADVICE}"
            ) from None
        if found.shape[1] != n_tokens:
            raise RepresentationError(
                f"it has {n_tokens} tokens, and mask {tokens.key!r} gives {found.shape[1]}: give masks={{{call!r}: "
                "None} if the layer has the tokens of another input"
            )
        empty = self.masks.empty.get(tokens.key)
        if empty is None and tokens.map != SAME.name:
            empty = next(iter((~found.any(1)).nonzero().flatten().tolist()), None)
        if empty is not None:
            raise RepresentationError(
                f"sample {empty} has no real token here by {tokens.key!r}: leave this sample out, or give "
                f"masks={{{call!r}: None}} to use all tokens"
            )
        return found

    def _given(self, key: str, n_tokens: int) -> Tokens | None:
        if key not in self.masks.real and is_mask(key):
            return None
        if key not in self.masks.real:
            named = {} if self.batch is None else self.batch.named
            mask = find_mask(named, key)
            if mask is None:
                near = did_you_mean(key, tuple(map(str, named)))
                raise ValueError(f"masks= names {key!r}, but the batch has no mask (n, tokens) with this key.{near}")
            device = next(iter(self.masks.real.values()), mask).device
            self.masks = Masks({**self.masks.real, key: mask.to(device)}, True, self.masks.empty)
        of_input = self.masks.real[key].shape[1]
        name = next((one.name for one in self.rules.maps.values() if one.fits(of_input, n_tokens)), "same")
        return Tokens(key, name)

    def _by_names(self, call: str, decoder: bool, n_tokens: int) -> Tokens | None:
        fitting = {
            key: name
            for key, mask in self.masks.real.items()
            for name in reversed(OWN)
            if name in self.rules.maps and self.rules.maps[name].fits(mask.shape[1], n_tokens)
        }
        if not fitting:
            return None
        key = self.masks.of_part(decoder)
        named = self.rules.names_parts and key in fitting and not (len(fitting) > 1 and is_cross_attention(call))
        is_one = self.batch is not None and TokenGroups(self.batch).is_one
        if named or (len(fitting) == len(self.masks.real) == 1 and is_one):
            key = key if named else next(iter(fitting))
            assert key is not None
            return Tokens(key, fitting[key])
        if self.rules.names_parts and len(fitting) == 1:
            return Tokens(*next(iter(fitting.items())))
        why = f" ({self.problem})" if self.problem else ""
        named_keys = " or ".join(map(repr, fitting))
        raise RepresentationError(
            f"its {n_tokens} tokens may be those of mask {named_keys}, or other tokens of the same number{why}: give "
            "masks={layer: key of the mask}, or {layer: None} to use all tokens"
        )

    def _unclear(self, call: str, tokens: Tokens, n_tokens: int) -> str:
        if not tokens.key:
            return (
                f"its {n_tokens} tokens follow inputs with masks, and it is not known which and how: give "
                f"masks={{{call!r}: key of the mask}}, or {{{call!r}: None}} for no mask; or {_ADVICE}"
            )
        of_input = self.masks.real[tokens.key].shape[1]
        return (
            f"its {n_tokens} tokens come from the {of_input} tokens of mask {tokens.key!r}, and it is not known which "
            f"tokens of the layer are padding: {_ADVICE}"
        )


_ADVICE = "give representation= a callable (output, batch, mask) for it, or masks={layer: None} to use all tokens"
