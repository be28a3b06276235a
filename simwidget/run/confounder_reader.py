"""`ConfounderReader`: gives the values of the confounders of each batch to a `Receiver`.

A confounder is a variable whose influence dCKA removes: the input, the class labels, the output of a layer, or the
result of the user's function.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from simwidget.capture.pooling import flatten
from simwidget.capture.positions import Positions
from simwidget.data.batch import Batch
from simwidget.data.nested import tensors_in
from simwidget.gram.kernels import same_class_kernel
from simwidget.gram.rows import Key
from simwidget.plan.confounders import Confounder
from simwidget.plan.networks import Network
from simwidget.plan.options import Plan
from simwidget.run.notes import Notes
from simwidget.run.receiver import Receiver, Representation


class ConfounderReader:
    """Gives the values of all confounders to a receiver, for one batch after another.

    Call `begin` for each batch. Then call `read_from_batch` once for the confounders that are computed from the batch,
    and `add` or `keep` for each layer that is a confounder. After the forward passes, call `check` and `end`.
    """

    def __init__(self, plan: Plan, notes: Notes) -> None:
        self._confounders = plan.confounders
        self._device = plan.device
        self._notes = notes
        self.stand_in: Confounder | None = None
        """the confounder "input" if an embedding layer's output replaces the input, because the input holds token ids;
        otherwise None"""
        self.embedded: dict[tuple[str, str], Tensor] = {}
        """model and layer name of an embedding -> the ids that it got in the first batch"""

    def begin(self, batch: Batch, index: int, receiver: Receiver, positions: Positions | None) -> None:
        """Begin batch number `index` of the run.

        Args:
            batch: the batch.
            index: the number of the batch, for messages.
            receiver: gets the values of the confounders.
            positions: the positions (tokens or places of a feature map) that serve as samples; None to use the samples
                of the batch.
        """
        self._batch, self._index, self._receiver, self._positions = batch, index, receiver, positions
        self._spare: tuple[Confounder, Tensor] | None = None
        self._read: set[str] = set()
        self._kept: dict[str, Tensor] = {}

    def end(self) -> None:
        """Release the batch."""
        del self._batch, self._receiver, self._positions, self._kept, self._spare

    def of_layers(self, network: Network) -> dict[str, list[Confounder]]:
        """Return a dict from each call of a network's layer whose output may be a confounder to these confounders."""
        found: dict[str, list[Confounder]] = {}
        for confounder in self._confounders:
            own = {layer: model for model, layer in reversed(confounder.layers) if model in network.models}
            for layer, model in own.items():
                found.setdefault(layer, []).append(replace(confounder, layer=(model, layer)))
        return found

    def due(self, confounders: Sequence[Confounder], inputs: Any) -> list[Confounder]:
        """Return the confounders whose values are the output of a layer for this batch, and are not known yet.

        Args:
            confounders: the confounders that may be the output of the layer.
            inputs: the inputs of the layer.
        """
        ids = next(tensors_in(inputs), None)
        if self._index == 0 and isinstance(ids, Tensor):
            for one in confounders:
                if one.kind == "input" and one.layer is not None:
                    self.embedded.setdefault(one.layer, ids.detach().cpu())
        known = {*self._read, *self._kept}
        open_ones = [one for one in confounders if one.name not in known and one.uses_layer(self._batch)]
        return [one for one in open_ones if one.kind != "input" or self._may_stand_in(one)]

    def _may_stand_in(self, confounder: Confounder) -> bool:
        """Whether an embedding layer may replace the input. Which layer does so is decided in the first batch."""
        if self.stand_in is not None:
            return confounder.layer == self.stand_in.layer
        return self._spare is None or self._gets_input(confounder)

    def _gets_input(self, confounder: Confounder) -> bool:
        """Whether an embedding layer gets the input of the batch."""
        ids, given = self._batch.input_tensor, self.embedded.get(confounder.layer or ("", ""))
        return ids is not None and given is not None and is_same_table(ids, given)

    def embedding_of(self, ids: Tensor) -> tuple[str, str] | None:
        """Return the model and layer name of the embedding that got `ids` in the first batch; None if there is none."""
        return next((layer for layer, given in self.embedded.items() if is_same_table(ids, given)), None)

    def add(self, confounders: Sequence[Confounder], x: Tensor, original: Key | None) -> Key | None:
        """Give a layer's representation x (m, p) to the receiver as the values of each confounder.

        Args:
            confounders: the confounders.
            x: the representation.
            original: the key of an equal representation that the receiver has; None if there is none.

        Returns:
            The key of a representation equal to x that the receiver has after this call; None if there is none.
        """
        for one in confounders:
            if one.kind == "input" and self.stand_in is None and not self._gets_input(one):
                self._spare = self._spare or (one, x.clone())
                continue
            self._note_stand_in([one])
            self._read.add(one.name)
            self._receiver.add(Representation(("confounder", one.name), x, original))
            original = original or ("confounder", one.name)
        return original

    def keep(self, confounders: Sequence[Confounder], x: Tensor) -> bool:
        """Store a layer's output (n, p) as confounder, if positions serve as samples and the output has no positions.

        For each drawn position, `read_from_batch` then uses the row of the sample that contains the position.

        Args:
            confounders: the confounders.
            x: the output (n, ...).

        Returns:
            Whether the output was stored.
        """
        if self._positions is None or x.ndim > 2:
            return False
        self._kept.update({one.name: flatten(x).clone() for one in confounders})
        self._note_stand_in(confounders)
        return True

    def read_from_batch(self) -> None:
        """Give the receiver the confounders that are computed from the batch, or were stored by `keep`.

        If positions serve as samples, call this after the forward passes, in which the positions are drawn.
        """
        for confounder in self._confounders:
            if confounder.name in self._kept:
                values = self._kept[confounder.name]
            elif confounder.uses_layer(self._batch):
                continue
            else:
                values = self._batch.uploads.to(confounder.values(self._batch), self._device)
            if self._positions is not None:
                values = self._positions.read_confounder(values, self._positions.confounder_axis(values))
            kernel = same_class_kernel if confounder.kind == "labels" else None
            self._read.add(confounder.name)
            self._receiver.add(Representation(("confounder", confounder.name), flatten(values), kernel=kernel))

    def check(self) -> None:
        """Raise ValueError if a confounder has no values in this batch, because its layer did not run.

        If no embedding layer got the ids of the input as they are, the first embedding that ran replaces the input.
        """
        if self._spare is not None and self._spare[0].name not in self._read:
            confounder, x = self._spare
            self._note_stand_in([confounder])
            self._read.add(confounder.name)
            self._receiver.add(Representation(("confounder", confounder.name), x))
        for confounder in self._confounders:
            if confounder.name not in self._read:
                model, layer = confounder.layer or ("", "")
                raise ValueError(
                    f"confounder {confounder.name!r}, batch {self._index}: layer {layer!r} of {model!r} did not run, "
                    "so there is nothing to remove; give another layer"
                )

    def _note_stand_in(self, confounders: Sequence[Confounder]) -> None:
        for one in confounders:
            if one.kind == "input":
                self.stand_in = one
                self._notes.say("tokens", one.note())


def is_same_table(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same ids, in the same order or, for two dimensions, transposed."""
    if one.numel() != other.numel() or one.is_floating_point() or other.is_floating_point():
        return False
    one, other = one.detach().cpu(), other.cpu()
    turned = one.T if one.ndim == 2 else one
    return any(torch.equal(way.reshape(-1).long(), other.reshape(-1).long()) for way in (one, turned))
