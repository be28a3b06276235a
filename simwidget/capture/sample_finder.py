"""`SampleFinder`: finds the samples in each layer's output, with a probing pass if the shapes are ambiguous."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from simwidget.capture.hooks import Capture
from simwidget.capture.outputs import Evidence, Layout, Output, RepresentationError, UnclearError
from simwidget.capture.probe import ProbedOutput, ProbeNeededError
from simwidget.capture.probing_pass import ProbeFailedError, Split, probing_pass
from simwidget.capture.reading import Reading
from simwidget.data.batch import Batch

CallKey = tuple[int | str, str]
"""Key of a call of a layer: (position of the network, name of the call).

The name is "layer", or "layer#k" for repeated calls.
"""


class SampleFinder:
    """Finds in each layer's output the tensor to compare and its samples.

    In the first batch, the shape of an output determines where the samples are. If the shape is ambiguous, a probing
    pass over fewer samples decides. In later batches, the samples must be in the same place as in the first batch.
    """

    def __init__(self) -> None:
        self.layouts: dict[CallKey, Layout] = {}
        """call of a layer -> where its output contains the samples"""
        self._probed: Sequence[Mapping[str, ProbedOutput]] | None = None
        """for each network, the records of its outputs in the probing pass; None before a probing pass"""
        self._failure = ""
        """why the probing pass failed; empty if it did not fail"""

    @property
    def may_probe(self) -> bool:
        """Whether `find` may raise ProbeNeededError: True until a layout is known or a probing pass was made."""
        return self._probed is None and not self.layouts

    @property
    def has_probed(self) -> bool:
        """Whether a probing pass has succeeded."""
        return self._probed is not None and not self._failure

    def find(self, key: CallKey, reading: Reading, output: Any, n: int, lengths: Collection[int], index: int) -> Output:
        """Return the tensor to compare in a layer's output.

        Args:
            key: the call of the layer.
            reading: how the layer's output is turned into a representation.
            output: what the layer returned.
            n: the number of samples of the batch.
            lengths: the numbers of tokens per sample that occur in the inputs and in other outputs.
            index: the number of the batch in the loader, for error messages.

        Raises:
            ProbeNeededError: only a probing pass can tell where the output contains the samples.
            RepresentationError: no tensor contains the n samples, the dimension of the samples remains ambiguous, or
                the samples are not in the same place as in an earlier batch.
        """
        position, call = key
        assert isinstance(position, int)
        known = self.layouts.get(key)
        probed = None if self._probed is None else self._probed[position].get(call)
        try:
            found = reading.output(output, n, Evidence(known, probed, lengths))
        except UnclearError:
            if self.may_probe:
                raise ProbeNeededError from None
            raise
        except RepresentationError:
            if known is None:
                raise
            elsewhere = reading.output(output, n)
            raise RepresentationError(
                f"its samples were in dimension {known.dim} before, and are in {elsewhere.batch_dim} in batch {index}: "
                "give batch_dim="
            ) from None
        if found.is_unclear and self.may_probe:
            raise ProbeNeededError
        shape = tuple(found.tensor.shape) if found.is_unclear else ()
        if shape and shape[0] == shape[1]:
            why = f" ({self._failure})" if self._failure else ""
            raise RepresentationError(
                f"its output {shape} has {n} entries in two dimensions, as many as the batch has samples, and a "
                f"pass over fewer samples did not tell them apart{why}: give batch_dim="
            )
        return found

    def probe(self, batch: Batch, index: int, split: Split, captures: Sequence[Capture]) -> None:
        """Make a probing pass; the arguments are those of `probing_pass`. If the pass fails, record the reason."""
        try:
            self._probed = probing_pass(batch, index, split, captures)
        except ProbeFailedError as problem:
            self._probed, self._failure = [{}] * len(captures), str(problem)

    def learn(self, layouts: Mapping[CallKey, Layout], n: int) -> None:
        """Record the layouts found in a batch of n samples, for calls without a known layout.

        Does nothing if n is 1.
        """
        if n > 1:  # a single sample does not tell its dimension from others of length 1
            self.layouts = {**layouts, **self.layouts}
