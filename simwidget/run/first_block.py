"""`FirstBlock`: computes the first block of a resumed run again, and compares the `BlockNumbers` with the checkpoint.

A block is the samples of one Gram matrix. The comparison detects changes in the code of the models, in the user's
functions and in the preprocessing. The `Identity` of a run does not show these changes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from simwidget.capture.probe import ProbeNeededError
from simwidget.data.batch import Batch
from simwidget.gram.gram_batch import GramBatch, Grams
from simwidget.gram.rows import Key, Row
from simwidget.plan.options import Plan
from simwidget.plan.out_of_memory import is_out_of_memory
from simwidget.restore.randomness import RecordedStream
from simwidget.run.block_numbers import BlockNumbers
from simwidget.run.forward_passes import ForwardPasses
from simwidget.run.identity import AnotherRunError
from simwidget.run.notes import Notes
from simwidget.run.receiver import Receiver, Representation
from simwidget.run.row_table import RowTable
from simwidget.text.errors import add_place

TOLERANCE = 1e-2
"""Differences from the checkpoint up to this size, relative to the Gram matrix's trace, count as rounding errors.

In resnet18, rounding errors are 6e-8 with another number of threads, 6e-4 with matrix products in TF32, and 6e-3 in
bfloat16. On another kind of device, a larger difference gives a note and not an error. The reason is that rounding
errors can have any size if a layer's output is constant apart from them. The last layers of an untrained mobilenet_v2
are an example.
"""
NOTED = 1e-5
"""Differences from the checkpoint up to this size, relative to the Gram matrix's trace, give no note."""
REDUCED_TOLERANCE = 0.1
"""The tolerance, in place of `TOLERANCE`, for layers and confounders in reduced precision.

Reduced precision means that the features or their matrix products have a lower precision than float32.
"""
MAX_NAMED = 3
"""The largest number of layers and confounders that a message names."""


def device_names(plan: Plan) -> list[str]:
    """Return for each network the kind of its device, such as "cpu" or "NVIDIA H100"."""
    devices = (network.device for network in plan.networks)
    return [torch.cuda.get_device_name(one) if one.type == "cuda" else one.type for one in devices]


class FirstBlock(AbstractContextManager):
    """Runs the networks again on the batches of the first block, and compares the block with the checkpoint.

    Call `take` with each batch that the resumed run skips, in order, and then call `check`. Use this class as a context
    manager: the networks have forward hooks while the context is open.

    Args:
        plan: the plan of the resumed run.
        rows: the descriptions of the layers and confounders in the checkpoint.
        outputs: the state of the `SampleFinder` in the checkpoint: which dimensions of the layers' outputs hold the
            samples and the tokens.
        expected: the numbers of the first block in the checkpoint, in the order of `rows`.
        min_samples: the smallest number of samples in a block; a run leaves out smaller blocks.
        own_streams: whether, in the run that wrote the checkpoint, each network drew from a random stream of its own.
        same_devices: whether the networks run on the same kinds of devices as in the run that wrote the checkpoint.
    """

    def __init__(
        self,
        plan: Plan,
        rows: Iterable[Row],
        outputs: Mapping[str, Any],
        expected: BlockNumbers,
        min_samples: int,
        own_streams: bool,
        same_devices: bool,
    ) -> None:
        self._plan = plan
        self._rows = tuple(rows)
        self._outputs = outputs
        self._expected = expected
        self._min_samples = min_samples
        self._own_streams = own_streams
        self._same_devices = same_devices

    def __enter__(self) -> "FirstBlock":
        plan = self._plan
        self._streams = [RecordedStream(one.device, self._own_streams) for one in plan.networks]
        self._forwards = ForwardPasses(plan, Notes(self._min_samples), self._streams)
        self._forwards.finder.restore(self._outputs, tuple)
        self._table = RowTable(plan)
        device = torch.device("cpu") if plan.device.type == "mps" else plan.device
        self._grams = GramBatch(plan.grams, self._table.index, device)
        self._found: BlockNumbers | None = None
        self._ran_out_of_memory = False
        self._n_taken = 0
        self._forwards.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._forwards.__exit__(*exc)

    @torch.no_grad()
    def take(self, raw: Any) -> None:
        """Pass one batch of the loader through all networks, and add its samples to the block.

        Do nothing if the block is already complete, or if memory ran out in an earlier batch.
        """
        if self._found is not None or self._ran_out_of_memory:
            return
        index = self._n_taken
        self._n_taken += 1
        batch, batches = self._forwards.split(raw, index)
        receiver = Receiver(self._grams.open, self._take, self._table.add_missing)
        try:
            self._run(batch, batches, index, receiver)
        except Exception as error:
            if is_out_of_memory(error):
                self._ran_out_of_memory = True
                return
            add_place(error, f"in batch {index} of the loader, run again to compare it with the checkpoint")
            raise
        self._table.add_never_run()
        self._table.fix()
        if self._grams.close():
            self._complete(self._grams.take())

    def _run(self, batch: Batch, batches: Sequence[Batch], index: int, receiver: Receiver) -> None:
        while True:
            try:
                self._forwards.run(batch, batches, index, receiver)
            except ProbeNeededError:
                self._grams.abandon()
            else:
                return

    def _take(self, one: Representation) -> None:
        if self._table.add_representation(one.key, one.x, one.repeats_child):
            self._grams.put(one.key, one.x, one.original, one.kernel)

    def _complete(self, grams: Grams) -> None:
        if grams.n >= self._min_samples:
            self._found = BlockNumbers.of(grams.stack)

    @torch.no_grad()
    def check(self, n_same: int) -> tuple[str, ...]:
        """Compare the block with the checkpoint.

        Args:
            n_same: how many batches, counted from the first, are the same as in the run that wrote the checkpoint.

        Returns:
            A note for the result if the block could not be compared, or if differing numbers are accepted. They are
            accepted on another kind of device, in networks that draw random numbers, and if they differ only slightly.
            Empty if the numbers agree, or if the batches of the block have changed.

        Raises:
            AnotherRunError: on the same kinds of devices, numbers differ by more than rounding errors, although they
                come from the batch itself or from a network that draws no random numbers.
        """
        if self._found is None and self._grams.n_samples and not self._ran_out_of_memory:
            self._complete(self._grams.take())
        if self._n_taken > n_same:
            return ()  # other batches, which has a note of its own
        found = self._found
        if found is None or found.n != self._expected.n:
            return ("the first block could not be compared with the checkpoint: its batches were split otherwise",)
        differing = list(self._differing(found.numbers.cpu(), self._expected.numbers.cpu()))
        slight = list(self._differing(found.numbers.cpu(), self._expected.numbers.cpu(), NOTED))
        certain = [key for key in differing if not self._draws(key)]
        more = f" and {len(certain) - MAX_NAMED} more" if len(certain) > MAX_NAMED else ""
        named = ", ".join(map(self._name, certain[:MAX_NAMED]))
        if certain and not self._same_devices:
            return (
                f"the first block gives other numbers on this device than the checkpoint has from another, first in "
                f"{named}{more}: rounding does that only where a layer is almost constant; else something has changed",
            )
        if certain:
            raise AnotherRunError(
                f"is of another run: run again, the first {found.n} samples give other numbers than the checkpoint "
                f"has, first in {named}{more}. Something that decides about them was changed since: the models' code, "
                "a function such as inputs=, or data. Undo the change, or start a new run with compare(...)"
            )
        if differing:
            return (
                "the first block gives other numbers than the checkpoint has, but only in networks that draw random "
                "numbers: whether their code has changed is not known",
            )
        if self._same_devices and any(not self._draws(key) for key in slight):
            named = ", ".join(map(self._name, [key for key in slight if not self._draws(key)][:MAX_NAMED]))
            return (
                f"the first block gives slightly other numbers than the checkpoint has, first in {named}: other "
                "hardware, libraries or settings than before, such as autocast, or a small change of code",
            )
        return ()

    def _differing(self, found: Tensor, expected: Tensor, tolerance: float | None = None) -> Iterator[Key]:
        """Yield the key of each layer or confounder whose numbers differ by more than a tolerance.

        By default the tolerance is `TOLERANCE`, or `REDUCED_TOLERANCE` in reduced precision. If `tolerance` is given,
        layers and confounders in reduced precision are left out.
        """
        for row, numbers in zip(self._rows, expected, strict=True):
            index = self._table.index.get(row.key)
            now = torch.zeros_like(numbers) if index is None or index >= len(found) else found[index]
            if row.reduced and tolerance is not None:
                continue
            allowed = tolerance or (REDUCED_TOLERANCE if row.reduced else TOLERANCE)
            near = (now - numbers).abs() <= allowed * torch.maximum(now[0], numbers[0])
            if not (near | (~now.isfinite() & ~numbers.isfinite())).all():
                yield row.key

    def _draws(self, key: Key) -> bool:
        """Whether the layer or confounder `key` is computed by a network that drew random numbers."""
        position = key[0]
        if isinstance(position, str):
            layer = next(one.layer for one in self._plan.confounders if one.name == key[1])
            if layer is None:
                return False
            position = self._plan.network_of(layer[0])
        return self._streams[position].drew

    def _name(self, key: Key) -> str:
        if isinstance(key[0], str):
            return f"confounder {key[1]!r}"
        return f"layer {key[1]!r} of {self._plan.networks[key[0]].model!r}"
