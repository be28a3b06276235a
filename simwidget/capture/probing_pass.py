"""`probing_pass`: runs the networks on some samples of a batch, to see which dimensions of their outputs follow."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simwidget.capture.hooks import Capture
from simwidget.capture.probe import ProbedOutput
from simwidget.data.batch import Batch
from simwidget.data.nested import tensors_in
from simwidget.data.splitting import take_samples
from simwidget.text.printable import printable

Split = Callable[[Any, int], tuple[Batch, list[Batch]]]
"""Type of a function split(raw, index) that parses batch number `index` of the loader.

It returns the batch itself, and for each network the batch that the network gets.
"""
MAX_ERROR_LENGTH = 200


class ProbeFailedError(Exception):
    """Raised if there can be no probing pass; the message says why, as the end of a sentence."""


def probing_pass(
    batch: Batch, index: int, split: Split, captures: Sequence[Capture]
) -> list[Mapping[str, ProbedOutput]]:
    """Run all networks on about half of the samples of a batch, and record the shapes of their layers' outputs.

    Args:
        batch: the batch, with the loader's batch in `raw`.
        index: the number of the batch in the loader.
        split: makes the batch of each network from some samples of the loader's batch.
        captures: the networks with their hooks.

    Returns:
        For each network: call of a layer -> its output in this pass. No output is kept.

    Raises:
        ProbeFailedError: the batch cannot be cut, or a network does not run on fewer samples.
    """
    n = batch.n
    m = n // 2 if n > 3 else n - 1
    if m < 1:
        raise ProbeFailedError("the batch has one sample only")
    try:
        _, parts = split(take_samples(batch.raw, batch, slice(0, m)), index)
        if any(part.n != m for part in parts):
            raise ProbeFailedError("the batch cannot be cut into smaller ones")
        return [_shapes(capture, part, n) for capture, part in zip(captures, parts, strict=True)]
    except ProbeFailedError:
        raise
    except Exception as error:
        text = printable(str(error)[:MAX_ERROR_LENGTH])
        raise ProbeFailedError(f"{m} samples of the batch gave an error: {text}") from error


def _shapes(capture: Capture, part: Batch, n: int) -> Mapping[str, ProbedOutput]:
    found: dict[str, ProbedOutput] = {}

    def record(call: str, output: Any, inputs: Any) -> None:
        found[call] = ProbedOutput.of(n, part.n, tensors_in(output))

    try:
        capture.forward(part, record)
    finally:
        part.uploads.clear()
    return found
