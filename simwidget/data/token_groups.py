"""`TokenGroups`: finds the tensors of a batch that have the tokens of each mask. `shorten` cuts off their last tokens.

A mask (n, tokens) says which tokens of a sequence are padding. A pass over shorter sequences (see `TokenProbe`) must
shorten a mask and the tensors with its tokens together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.masks import NO_MASKS, is_of_decoder
from simwidget.data.nested import map_tensors

TOKEN_INPUTS = ("ids", "embeds", "input_values", "input_features", "src")
"""The endings of keys, such as "input_ids", of inputs that are certain to have the tokens of a fitting mask."""
MIN_TOKENS = 3
"""The smallest number of tokens that is shortened. Fewer would leave one token, which operations may repeat."""
MAX_ALTERNATIVES = 6
"""The largest number of combinations of as many open tensors that are tried."""


class Group(NamedTuple):
    """Tensors of a batch that have the same tokens."""

    size: int
    """the number of tokens"""
    names: tuple[str, ...]
    """the keys of the tensors in the batch"""


Groups = Mapping[str, Group]
"""key of a mask -> the group of this mask and the tensors that have its tokens

For inputs without a mask: key of an input -> the group of this input and other tensors with the same tokens.
"""
Lengths = Mapping[str, tuple[int, int]]
"""key of a group in `Groups` -> the number of tokens in the batch, and the number of tokens after shortening"""


class TokenGroups:
    """Finds the tensors of a batch that have the tokens of each mask.

    A tensor can have the tokens of a mask only if one of its dimensions has as many entries as the mask has tokens. The
    key makes some of these tensors certain: "decoder_input_ids" has the tokens of "decoder_attention_mask". Other
    tensors, such as "x", are open: they may have the tokens of the mask, or as many entries by chance.
    """

    def __init__(self, batch: Batch) -> None:
        masks = batch.masks.real
        self._batch = batch
        self._sizes = {key: mask.shape[1] for key, mask in masks.items()}
        self._certain: dict[str, list[str]] = {key: [key] for key in masks}
        self._open: dict[str, list[str]] = {key: [] for key in masks}
        self._others: list[str] = []
        for name, tensor in batch.named.items():
            if isinstance(tensor, Tensor) and name not in masks and tensor.ndim > 1:
                self._assign(str(name), [key for key, size in self._sizes.items() if size in tensor.shape])

    def _assign(self, name: str, fitting: Sequence[str]) -> None:
        named = [key for key in fitting if any(_affixes(key)) and _has_affixes(name, key)]
        plain = [key for key in fitting if not any(_affixes(key)) and not is_of_decoder(name)]
        decoding = [key for key in fitting if is_of_decoder(key)] if is_of_decoder(name) else []
        if named or decoding:
            self._certain[(named or decoding)[0]].append(name)
        elif plain and name.endswith(TOKEN_INPUTS):
            self._certain[plain[0]].append(name)
        elif fitting:
            self._open[(plain or list(fitting))[0]].append(name)
        else:
            self._others.append(name)

    @property
    def is_one(self) -> bool:
        """Whether the batch has only one mask, and all other tensors with two or more dimensions have its tokens.

        A tensor that is open counts only if the batch has no third tensor.
        """
        if len(self._certain) != 1 or self._others:
            return False
        (certain,), (left,) = self._certain.values(), self._open.values()
        return not left or len(certain) == len(left) == 1

    def stages(self, unmasked: bool = False) -> Iterator[Sequence[Groups]]:
        """Yield the groups to try in a pass over shorter sequences, the most likely groups first.

        The pass usually fails if a group lacks a tensor with its tokens. Each stage has one or several alternatives.
        Use the first stage in which the pass succeeds with exactly one alternative.

        Args:
            unmasked: whether inputs without a mask form groups as well.
        """
        if unmasked:
            yield from self._unmasked()
        elif self._certain:
            yield from self._masked()

    def _masked(self) -> Iterator[Sequence[Groups]]:
        alone = {
            key: self._open[key] if len(certain) == 1 and len(self._open[key]) == 1 else []
            for key, certain in self._certain.items()
        }
        if all(len(certain) > 1 or alone[key] or not self._open[key] for key, certain in self._certain.items()):
            yield [self._with(alone)]
        left = [(key, name) for key, names in self._open.items() for name in names if not alone[key]]
        for count in range(1, len(left)):
            chosen = list(combinations(left, count))[:MAX_ALTERNATIVES]
            yield [
                self._with({key: [*alone[key], *(name for at, name in one if at == key)] for key in alone})
                for one in chosen
            ]
        if left:
            yield [self._with(self._open)]
        if "labels" in self._certain and len(self._certain) > 1:  # labels of a language model have the input's tokens
            key = next(key for key in self._certain if key != "labels")
            size, names = self._with(self._open)[key]
            yield [{key: Group(size, (*names, "labels"))}]

    def _unmasked(self) -> Iterator[Sequence[Groups]]:
        """Yield groups in which each input without a mask is a group, and then groups of tensors with equal lengths.

        The tokens are first assumed in the first dimension after the samples, and then in the second one.
        """
        masked = self._with({key: [] for key in self._certain})
        free = [*self._others, *(name for names in self._open.values() for name in names)]
        for dim in (0, 1):
            own = {}
            for name in free:
                sizes = [self._batch.named[name].shape[one] for one in other_dims(self._batch.named[name], self._batch)]
                if dim < len(sizes) <= 2:
                    own[name] = Group(sizes[dim], (name,))
            groups = {**masked, **own}
            by_size: dict[int, str] = {}
            merged: dict[str, Group] = {}
            for key, (size, names) in groups.items():
                first = by_size.setdefault(size, key)
                merged[first] = Group(size, (*(merged[first].names if first in merged else ()), *names))
            yield from ([one] for one in ((groups,) if merged == groups else (groups, merged)) if one)

    def _with(self, more: Mapping[str, Sequence[str]]) -> Groups:
        return {key: Group(self._sizes[key], (*certain, *more[key])) for key, certain in self._certain.items()}


def _affixes(key: str) -> tuple[str, str]:
    """Return what stands before and after "attention_mask" (and the like) in a key, without underscores and dots."""
    for ending in ("key_padding_mask", "attention_mask", "padding_mask", "input_ids", "inputs_embeds"):
        if ending in key:
            before, _, after = key.partition(ending)
            return before.strip("_."), after.strip("_.")
    return key, ""


def _has_affixes(name: str, key: str) -> bool:
    before, after = _affixes(key)
    return name.startswith(before) and name.endswith(after)


def shorter_lengths(groups: Groups, cut_half: bool) -> Lengths:
    """Return, for each group with at least `MIN_TOKENS` tokens, its number of tokens and a smaller number.

    The number of tokens that are cut tells the groups apart: if possible, it is different for each group, and no such
    number divides another.

    Args:
        groups: the groups.
        cut_half: whether to cut about half of the tokens, instead of as few as possible.
    """
    found: dict[str, tuple[int, int]] = {}
    cuts: list[int] = []
    for key, (tokens, _) in groups.items():
        if tokens < MIN_TOKENS:
            continue
        choices = list(range(1, tokens - 1))
        if cut_half:
            choices.sort(key=lambda cut, half=tokens // 2: abs(cut - half))  # type: ignore[misc]
        different = [cut for cut in choices if cut not in cuts]
        clear = [cut for cut in different if all(max(cut, one) % min(cut, one) for one in cuts)]
        cut = (clear or different or choices)[0]
        cuts.append(cut)
        found[key] = (tokens, tokens - cut)
    return found


def shorten(batch: Batch, groups: Groups, lengths: Lengths) -> Batch:
    """Return a copy of a batch in which the last tokens are cut off the tensors of the groups. The copy has no masks.

    Args:
        batch: the batch.
        groups: the tensors that have the same tokens.
        lengths: the numbers of tokens before and after the cut. Groups without such numbers are not cut.
    """
    named = batch.named
    of_tensor = {
        id(named[name]): lengths[key] for key, (_, names) in groups.items() if key in lengths for name in names
    }
    masks = {id(named[name]) for _, names in groups.values() for name in names if name.endswith("mask")}

    def cut(tensor: Tensor) -> Tensor:
        if id(tensor) not in of_tensor:
            return tensor
        before, after = of_tensor[id(tensor)]
        dims = [dim for dim in other_dims(tensor, batch) if tensor.shape[dim] == before]
        for dim in dims if id(tensor) in masks else dims[:1]:
            tensor = tensor.narrow(dim, 0, after)
        return tensor

    raw, inputs, named = (map_tensors(one, cut) for one in (batch.raw, batch.inputs, batch.named))
    return replace(batch, raw=raw, inputs=inputs, named=named, masks=NO_MASKS)


def other_dims(tensor: Tensor, batch: Batch) -> list[int]:
    """Return all dimensions of a tensor of the batch except the dimension that indexes the samples."""
    candidates = (batch.batch_dim, 0) if tensor.ndim > 2 else (0,)
    samples = next((dim for dim in candidates if dim < tensor.ndim and tensor.shape[dim] == batch.n), None)
    return [dim for dim in range(tensor.ndim) if dim != samples]
