"""`InputChecks`: finds the entries of a batch that a network does not get, and the inputs that dCKA does not remove."""

from collections.abc import Sequence

from torch import Tensor

from simwidget.data.batch import Batch
from simwidget.data.masks import is_mask
from simwidget.plan.networks import Network
from simwidget.plan.options import Plan
from simwidget.run.notes import Notes
from simwidget.run.several_inputs import EmbeddingOf, note_on_input


class InputChecks:
    """Finds the entries of a batch that a network does not get, and the inputs that dCKA does not remove.

    Unknown keys of a mapping and inputs that dCKA does not remove get a note.
    """

    def __init__(self, plan: Plan, notes: Notes) -> None:
        self._networks = plan.networks
        self._confounders = plan.confounders
        self._notes = notes
        self._is_done = False
        self.not_passed: dict[int, list[str]] = {}
        """position of a network -> the entries of its batch that may be inputs but are not passed to the network

        An entry is written as a Python expression, such as "batch[1]".
        """

    def check(self, batch: Batch, batches: Sequence[Batch], embedding_of: EmbeddingOf) -> None:
        """Check one batch after its forward passes. Most checks are made in the first batch only.

        Args:
            batch: the loader's batch.
            batches: the batch for each network.
            embedding_of: returns the model and layer name of the embedding that gets a tensor of token ids; or None.
        """
        self._note_unknown_keys()
        if self._is_done:
            return
        for position, (network, own) in enumerate(zip(self._networks, batches, strict=True)):
            path = "batch" if network.prepare is None else "inputs(batch)"
            self.not_passed[position] = [one.path for one in network.caller.entries_not_passed(own, path)]
            self._note_unread_masks(network, own)
        if [one.kind for one in self._confounders] == ["input"]:
            note = note_on_input(batch, self._networks, batches, embedding_of)
            if note is not None:
                self._notes.say("inputs", note)
        self._is_done = True

    def _note_unread_masks(self, network: Network, batch: Batch) -> None:
        """Note a mask that is not (n, tokens), if the representation of a layer depends on padding."""
        if not any(reading.uses_masks for reading in network.readings.values()):
            return
        for key, mask in batch.named.items():
            if is_mask(key) and isinstance(mask, Tensor) and mask.ndim > 2:
                self._notes.say(
                    f"mask {key}",
                    f"the batch's {key!r} {tuple(mask.shape)} is no mask (n, tokens), so no padding is left out by it: "
                    "add such a mask to the batch, and name it with masks=",
                )

    def _note_unknown_keys(self) -> None:
        for network in self._networks:
            keys = network.caller.ignored_keys
            if keys:
                named = ", ".join(map(repr, keys[:6]))
                self._notes.say(
                    f"keys {network.model}",
                    f"model {network.model!r} takes no argument for the batch's {named}: they are not passed to it",
                )
