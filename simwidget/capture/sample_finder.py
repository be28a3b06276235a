"""`SampleFinder`: finds the samples in the outputs of all layers, with a probing pass if the shapes do not tell."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from simwidget.capture.hooks import Capture
from simwidget.capture.outputs import Evidence, Layout, Output, RepresentationError, UnclearError
from simwidget.capture.probe import ProbedOutput, ProbeNeededError
from simwidget.capture.probing_pass import ProbeFailedError, Split, probing_pass
from simwidget.capture.reading import Reading
from simwidget.data.batch import Batch

CallKey = tuple[int | str, str]
"""The position of a network, and a call of one of its layers: "layer", or "layer#k" for repeated calls."""


class SampleFinder:
    """Finds in each layer's output the tensor to compare and its samples.

    In the first batch the shape of an output tells where its samples are, and if it does not, a probing pass over fewer
    samples. In later batches they are where they were in the first.
    """

    def __init__(self) -> None:
        self.layouts: dict[CallKey, Layout] = {}
        """call of a layer -> where its output contains the samples"""
        self._probed: Sequence[Mapping[str, ProbedOutput]] | None = None
        """for each network its outputs in the probing pass; None if there was no such pass"""
        self._failure = ""
        """why the probing pass failed"""

    @property
    def may_probe(self) -> bool:
        """Whether `find` may raise ProbeNeededError: in the first batch, before a probing pass."""
        return self._probed is None and not self.layouts

    @property
    def has_probed(self) -> bool:
        """Whether there was a probing pass, and it did not fail."""
        return self._probed is not None and not self._failure

    def find(self, key: CallKey, reading: Reading, output: Any, n: int, lengths: Collection[int], index: int) -> Output:
        """Return the tensor to compare in a layer's output.

        Args:
            key: the call of the layer.
            reading: how the layer's output is turned into a representation.
            output: what the layer returned.
            n: the number of samples of the batch.
            lengths: how many tokens a sample has in the inputs and in other outputs.
            index: the number of the batch in the loader, for error messages.

        Raises:
            ProbeNeededError: only a probing pass can tell where the output contains the samples.
            RepresentationError: there is no such tensor, or it cannot be told where the samples are.
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
        """Make a probing pass; the arguments are those of `probing_pass`. A failure is recorded."""
        try:
            self._probed = probing_pass(batch, index, split, captures)
        except ProbeFailedError as problem:
            self._probed, self._failure = [{}] * len(captures), str(problem)

    def learn(self, layouts: Mapping[CallKey, Layout], n: int) -> None:
        """Record where the samples were found in a batch of n samples, for calls that were not known before."""
        if n > 1:  # a single sample does not tell its dimension from others of length 1
            self.layouts = {**layouts, **self.layouts}
