"""`TokenMasks`: chooses the mask of each layer's tokens, so that pooling leaves out padding."""

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
    """What is known of a network's masks before it runs."""

    rules: tuple[tuple[str, str | None], ...] = ()
    """the user's option masks=: layer patterns with the key of a mask, or None for no mask; the first match counts"""
    model: str = ""
    """the name of the model that the patterns may name"""
    maps: Mapping[str, LengthMap] = field(default_factory=dict)
    """the network's `LengthMap` objects, by name"""
    names_parts: bool = False
    """whether the names of the network's layers tell an encoder from a decoder"""

    def given(self, call: str) -> tuple[str | None] | None:
        """Return the rule for a call of a layer as a tuple (key,); None if no rule matches."""
        for pattern, key in self.rules:
            if matches(pattern, self.model, call):
                return (key,)
        return None


@dataclass
class TokenMasks:
    """Chooses the mask of each layer's tokens, in one forward pass of one network.

    The mask of a layer is, in this order:

    1. the one that the user named with masks=;
    2. the one whose tokens the layer followed in a forward pass over shorter sequences. A layer that followed no mask
       has no mask. If the layer has other tokens than the mask, such as the frames of audio samples, the network's own
       lengths give its mask, see `length_maps`;
    3. without such a pass: the encoder's or the decoder's mask by the name of the layer, or the only mask of a batch
       whose inputs all have its tokens. The mask must have as many tokens as the layer.
    """

    masks: Masks = NO_MASKS
    """the masks of the batch, on the network's device"""
    rules: MaskRules = field(default_factory=MaskRules)
    batch: Batch | None = None
    """the batch; None if there are no masks"""
    problem: str = ""
    """why there was no pass over shorter sequences; empty if there was one or none was needed"""
    by_name: dict[str, Tokens | None] = field(default_factory=dict)
    """call of a layer -> the mask that was chosen without a pass over shorter sequences; None if no mask fits"""
    unmasked: dict[str, int] = field(default_factory=dict)
    """call of a layer without such a pass, and without a mask that fits -> the number of its tokens"""
    _made: dict[tuple[str, str, int], Tensor] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether any token of the batch may be padding."""
        return self.masks.any or any(key is not None for _, key in self.rules.rules)

    def choose(self, call: str, dims: TokenDims | None, dim: int, decoder: bool, n_tokens: int) -> Tokens | None:
        """Return which mask a layer's tokens have, and by which map; None if they have no mask.

        Args:
            call: the call of the layer.
            dims: how the dimensions of the layer's output followed a mask in a pass over shorter sequences; None if
                there was no such pass.
            dim: the dimension of the output that holds the tokens.
            decoder: whether the layer has the decoder's tokens, judged by its name.
            n_tokens: the number of the layer's tokens.

        Raises:
            RepresentationError: it cannot be told which mask the tokens have.
            ValueError: masks= names something that is no mask of the batch.
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
            return None  # without this mask, no token of the input is padding
        if tokens is not None and not tokens.map:
            raise RepresentationError(self._unclear(call, tokens, n_tokens))
        return tokens

    def mask(self, tokens: Tokens, call: str, n_tokens: int) -> Tensor | None:
        """Return the mask (n, n_tokens) of a layer's tokens, True for real tokens; None if the batch has no such mask.

        Raises:
            RepresentationError: the layer has another number of tokens than follows from the mask, or the mask has a
                sample without a real token.
        """
        made = (tokens.key, tokens.map, n_tokens)
        real = self.masks.real.get(tokens.key)
        if real is not None and made not in self._made:
            self._made[made] = self._apply(tokens, real, call, n_tokens)
        return self._made.get(made)

    def of_input(self, dims: TokenDims | None) -> Tensor | None:
        """Return the mask of the input that a layer's tokens come from, for a callable.

        Args:
            dims: how the dimensions of the layer's output followed a mask in a pass over shorter sequences; None if
                there was no such pass. The only mask of a batch is then that of all layers.

        Returns:
            The mask (n, tokens of the input), True for real tokens. None if there is no mask, or several without a
            pass that tells them apart.
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
                f"mask {tokens.key!r} gives no mask for its tokens: {problem}. So {_ADVICE}"
            ) from None
        if found.shape[1] != n_tokens:
            raise RepresentationError(
                f"its {n_tokens} tokens are not the {found.shape[1]} of mask {tokens.key!r}: give masks={{{call!r}: "
                "None} if they are the tokens of another input"
            )
        empty = self.masks.empty.get(tokens.key)
        if empty is None and tokens.map != SAME.name:
            empty = next(iter((~found.any(1)).nonzero().flatten().tolist()), None)
        if empty is not None:
            raise RepresentationError(
                f"sample {empty} has no real token here by {tokens.key!r}: leave the sample out, or give "
                f"masks={{{call!r}: None}} for no mask"
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
                raise ValueError(f"masks= names {key!r}, and the batch has no mask (n, tokens) of that key.{near}")
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
            f"it has as many tokens, {n_tokens}, as mask {named_keys}, and it is not known whether they are the same "
            f"tokens{why}: give masks={{layer: key of the mask}}, or {{layer: None}} for no mask"
        )

    def _unclear(self, call: str, tokens: Tokens, n_tokens: int) -> str:
        if not tokens.key:
            return (
                f"its {n_tokens} tokens follow inputs with masks, and it is not known which and how: give "
                f"masks={{{call!r}: key of the mask}}, or {{{call!r}: None}} for no mask; or {_ADVICE}"
            )
        of_input = self.masks.real[tokens.key].shape[1]
        return (
            f"its {n_tokens} tokens follow the {of_input} of mask {tokens.key!r}, and which of them are padding is not "
            f"known: {_ADVICE}"
        )


_ADVICE = "give representation= a callable (output, batch, mask) for it, or masks={layer: None} for no mask"
