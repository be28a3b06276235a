"""`Notes`: collects facts that a reader of a result must know, and returns them as sentences."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from simwidget.capture.outputs import Output
from simwidget.capture.reading import Reading
from simwidget.capture.token_masks import TokenMasks
from simwidget.capture.tokens import Tokens
from simwidget.data.class_order import ClassOrder
from simwidget.files.fields import get_int
from simwidget.gram.rows import Key

FEW_SAMPLES = 16
"""A result gets a note if its Gram matrices have fewer samples than this on average: estimates then scatter widely."""


class Notes:
    """Collects facts during a run, such as skipped batches. The method `notes` returns them as sentences."""

    _NUMBERS = ("skipped_batches", "skipped_samples", "smallest_gram", "n_grams", "n_samples")

    def __init__(self, min_samples: int) -> None:
        self._min_samples = min_samples
        self._order = ClassOrder()
        self._late: dict[Key, int] = {}
        self._said: dict[str, str] = {}
        self._masked: dict[Key, list[int]] = {}
        self._skipped_batches = 0
        self._skipped_samples = 0
        self._smallest_gram: int | None = None
        self._n_grams = 0
        self._n_samples = 0

    def state(self) -> dict[str, Any]:
        """Return all collected facts as a dictionary of JSON values, for `restore`."""
        numbers = {name: getattr(self, f"_{name}") for name in self._NUMBERS}
        late = [[*key, batch] for key, batch in self._late.items()]
        masked = [[*key, *counts] for key, counts in self._masked.items()]
        return {**numbers, "order": self._order.state(), "late": late, "said": dict(self._said), "masked": masked}

    def restore(self, state: dict[str, Any]) -> None:
        """Replace the collected facts by those in `state`, a dictionary that the method `state` returned."""
        for name in self._NUMBERS:
            is_none = name == "smallest_gram" and state[name] is None
            setattr(self, f"_{name}", None if is_none else get_int(state, name))
        self._order.restore(state["order"])
        self._late = {(position, str(call)): int(batch) for position, call, batch in state["late"]}
        self._masked = {(position, str(call)): [int(a), int(b)] for position, call, a, b in state["masked"]}
        self._said = {str(topic): str(note) for topic, note in state["said"].items()}

    def labels(self, labels: Tensor | None) -> None:
        """Count the class labels (n,) of one batch, so that `notes` can warn if the loader is ordered by class."""
        self._order.add(labels)

    def gram(self, n: int) -> None:
        """Count a block of n samples (those of one Gram matrix) that was added to the sums."""
        self._n_grams += 1
        self._n_samples += n
        self._smallest_gram = min(n, self._smallest_gram or n)

    def skipped(self, n: int) -> None:
        """Count a batch or block that is left out because its n samples are too few for a Gram matrix."""
        self._skipped_batches += 1
        self._skipped_samples += n

    def late(self, key: Key, batch: int) -> None:
        """Record a layer call that occurs in a later batch but did not occur in the first forward passes.

        If the call is already recorded, do nothing.

        Args:
            key: the layer call.
            batch: the number of the batch.
        """
        self._late.setdefault(key, batch)

    def masks(self, chosen: Mapping[Key, Tokens | None], unmasked: Mapping[str, int]) -> None:
        """Count a batch in which masks were chosen by the names of layers and the numbers of their tokens.

        Args:
            chosen: for each of these layer calls the mask, or None if no mask of the batch has as many tokens.
            unmasked: the layer calls for which no mask has as many tokens, and their numbers of tokens.
        """
        for key, tokens in chosen.items():
            counts = self._masked.setdefault(key, [0, 0])
            counts[tokens is None] += 1
            call = str(key[1])
            if not counts[0]:  # else there is a note with the numbers of both
                self.say(
                    "mask",
                    f"the batch's mask does not fit the {unmasked[call]} tokens of layer {call!r}: all of its tokens "
                    "are used",
                )

    def say(self, topic: str, note: str) -> None:
        """Add the sentence `note`, unless there is already a sentence on the same topic."""
        self._said.setdefault(topic, note)

    def replace(self, topic: str, note: str) -> None:
        """Add the sentence `note`, in place of an earlier sentence on the same topic."""
        self._said[topic] = note

    def read(self, reading: Reading, found: Output, call: str, masks: TokenMasks) -> None:
        """Add a note if a layer's output was read in a way that may surprise the user.

        A note is added in two cases:
        - The samples seem to be in an unexpected dimension of the output, and the shape of the output is the only
          evidence.
        - The representation "flatten" includes padded tokens.
        """
        if found.is_unclear and found.batch_dim != reading.dims[0]:
            self.say(
                "batch_dim",
                f"layer {call!r} seems to have its samples in dimension {found.batch_dim} and is read that way: give "
                "batch_dim= if that is wrong",
            )
        if not masks.any or not isinstance(found.tensor, Tensor) or found.tensor.ndim != 3:
            return
        # convolutions along a line have their tokens last
        fits = any(mask.shape[1] in found.tensor.shape[1:] for mask in masks.masks.real.values())
        if reading.representation == "flatten" and fits:
            self.say(
                "padding",
                'the batches have padded tokens, and representation="flatten" includes them: "mean", "cls", "last" and '
                '"tokens" leave them out',
            )

    def notes(self) -> tuple[str, ...]:
        """Return the present notes as sentences. May be called from any thread."""
        notes = [
            f"layer {call!r} ran for the first time, or once more than before, in batch {batch}: it is not compared"
            for (_, call), batch in self._late.items()
        ]
        mixed = [(call, *counts) for (_, call), counts in tuple(self._masked.items()) if all(counts)]
        if mixed:
            call, fits, others = mixed[0]
            more = f" (and {len(mixed) - 1} more layers)" if len(mixed) > 1 else ""
            notes.append(
                f"in {fits} batches a mask has as many tokens as layer {call!r}, and in {others} batches none has{more}"
                ": if no mask fits, all tokens are used; give masks= the key of the layer's mask, or None for none"
            )
        notes += tuple(self._said.values())  # copied in one step, since the pass may add notes on its own thread
        order = self._order.note()
        if order:
            notes.append(order)
        if self._skipped_batches:
            notes.append(
                f"{self._skipped_samples} samples in {self._skipped_batches} batches were left out: a Gram matrix "
                f"needs {self._min_samples} samples"
            )
        if self._smallest_gram is not None and self._smallest_gram < FEW_SAMPLES and self._n_grams > 1:
            small = self._n_samples / self._n_grams
            if small < FEW_SAMPLES:
                notes.append(
                    f"a Gram matrix has {small:.0f} samples: under {FEW_SAMPLES} the numbers are right on average and "
                    "scatter widely; use a larger batch or gram_batch"
                )
        elif self._smallest_gram is not None and self._smallest_gram < FEW_SAMPLES:
            notes.append(f"all numbers are of {self._smallest_gram} samples: under {FEW_SAMPLES} they scatter widely")
        return tuple(notes)
