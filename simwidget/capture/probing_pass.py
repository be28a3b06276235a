"""`probing_pass`: runs the networks on fewer samples, to show which dimensions of the outputs index the samples."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simwidget.capture.hooks import Capture
from simwidget.capture.probe import ProbedOutput
from simwidget.data.batch import Batch
from simwidget.data.nested import tensors_in
from simwidget.data.splitting import take_samples
from simwidget.text.printable import printable

Split = Callable[[Any, int], tuple[Batch, list[Batch]]]
"""Type of a function split(raw, index) that parses `raw`, batch number `index` of the loader.

The function returns the parsed batch, and a list with the batch for each network.
"""
MAX_ERROR_LENGTH = 200


class ProbeFailedError(Exception):
    """Raised if a probing pass fails. The message is a clause with the reason, for use in another message."""


def probing_pass(
    batch: Batch, index: int, split: Split, captures: Sequence[Capture]
) -> list[Mapping[str, ProbedOutput]]:
    """Run all networks on two samples of a batch (one of two), and return a record of each layer's output.

    Args:
        batch: the parsed batch; its attribute `raw` is the loader's batch.
        index: the number of the batch in the loader.
        split: parses the chosen samples of the loader's batch, and returns the batch for each network.
        captures: the networks with their hooks.

    Returns:
        For each network, a dict from the call of a layer ("layer", or "layer#k" for repeated calls) to the record of
        the call's output. The outputs themselves are not kept.

    Raises:
        ProbeFailedError: the batch has only one sample or cannot be split, or a network fails on fewer samples.
    """
    n = batch.n
    m = min(2, n - 1)  # with one sample, code such as `squeeze()` may remove the dimension
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
