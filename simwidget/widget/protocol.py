"""Types of the synced traits, and of the messages between the Python kernel and the browser page that shows the widget.

`js/state/model.ts` declares the same types for the browser; a test checks that both files agree.
"""

from typing import Literal, TypedDict

from simwidget.run.progress import RunState

Kind = Literal["similarity", "distance", "difference"]
Palette = Literal["magma", "viridis", "cividis"]
Format = Literal["csv", "simw", "html"]


class Axis(TypedDict):
    """One model: its name and its layers in execution order."""

    model: str
    layers: list[str]
    kinds: list[str]
    """for each layer the class name of its module, such as "Conv2d"; "" if unknown"""


class RunInfo(TypedDict):
    """State and progress of a run at the time `at`."""

    state: RunState
    n_batches: int
    n_batches_expected: int | None
    n_samples: int
    rate: float | None
    """mean number of samples per second so far, without pauses; None if unknown, such as before the first batch"""
    seconds_left: float | None
    notes: list[str]
    error: str | None
    at: float
    """the time for which the other fields hold, in seconds since 1970"""


class MeasureInfo(TypedDict):
    """Description of a measure, or of a difference of two measures, for the browser page.

    `reasons[model][layer]` tells why a layer has no numbers. Layers with numbers have no entry.
    """

    name: str
    title: str
    kind: Kind
    reasons: dict[str, dict[str, str]]


class BlockInfo(TypedDict):
    """Describes how a snapshot stores one matrix: the values and standard errors of a measure for a pair of models.

    `x` and `y` are the positions of the two models. Numbers are stored as 16-bit codes. Codes 0 to 65534 represent
    equally spaced numbers: from `low` to `high` for values, and from 0 to `error_high` for standard errors. Code 65535
    represents NaN.
    """

    measure: str
    x: int
    y: int
    offset: int
    """Position of the matrix's first byte in the decompressed snapshot. The codes of the values come first: all low
    bytes, then all high bytes. The codes of the standard errors follow in the same layout. If the two models are the
    same, only the upper triangle with the diagonal is stored."""
    low: float
    high: float
    error_high: float


class SnapshotMeta(TypedDict):
    """Description of a snapshot. A snapshot is a byte string with the matrices of all measures in compact form.

    `seq` is the number of the latest frame (update of the shown matrix) at the time of the snapshot.
    """

    run_id: str
    seq: int
    measures: list[MeasureInfo]
    blocks: list[BlockInfo]
    n_batches: int
    n_samples: int
    complete: bool


class Selection(TypedDict):
    """A pair of layers, by name."""

    model_x: str
    layer_x: str
    model_y: str
    layer_y: str


class Scale(TypedDict):
    """How values become colours.

    - If `mode` is "unit", the colour limits are 0 and 1 for a measure, -1 and 1 for a difference of measures, and 0 and
      5 × `threshold` for standard errors.
    - If `mode` is "range", the colour limits are the entry (low, high) of the measure in `limits`. For standard errors,
      the key of the entry is the name of the measure followed by " ±". Without an entry, the limits are those of
      "unit".
    - If `mode` is "log", a similarity s is coloured by log(1 - s). For differences and standard errors, the limits are
      those of "unit".
    """

    mode: Literal["unit", "range", "log"]
    limits: dict[str, tuple[float, float]]
    palette: Palette


class WidgetState(TypedDict):
    """The synced traits of the widget. Python may set all traits, and the browser those from `measure` to `threshold`.

    `shows` tells whether the colours show the values or their standard errors. `open_x` maps each model to the blocks
    (groups of layers) that are unfolded when the model is on the rows; `open_y` does the same for the columns. A model
    without an entry has at most 25 rows or columns, if folding blocks can achieve that. While values are shown, cells
    are hatched if their standard error is above `threshold` or unknown.
    """

    run_id: str
    axes: list[Axis]
    run: RunInfo
    snapshot: bytes
    snapshot_meta: SnapshotMeta
    measure: str
    view: tuple[int, int]
    shows: Literal["values", "errors"]
    selection: Selection | None
    pinned: list[Selection]
    open_x: dict[str, list[str]]
    open_y: dict[str, list[str]]
    scale: Scale
    threshold: float


class Ready(TypedDict):
    """Message of a browser page that has opened or reconnected.

    `run_id` identifies the heatmap whose numbers the page has. `have_seq` is the number of the latest frame (update of
    the shown matrix) of this heatmap that the page has.
    """

    type: Literal["ready"]
    client: str
    run_id: str
    have_seq: int


class Ack(TypedDict):
    """Message by which a browser page acknowledges the frame (update of the shown matrix) with the number `seq`.

    A page sends this message as soon as it draws the frame. A page that has not drawn the frame after 250 ms sends the
    message anyway, because a hidden page draws nothing. `hidden` tells whether the page is hidden.
    """

    type: Literal["ack"]
    client: str
    seq: int
    hidden: bool


class Need(TypedDict):
    """Request of a browser page for the shown matrix or for the details of a pair of layers.

    The shown matrix is requested if `what` is "frame", and the details of `pair` if `what` is "detail".
    """

    type: Literal["need"]
    client: str
    what: Literal["frame", "detail"]
    pair: Selection | None


class Command(TypedDict):
    """Request of a browser page to start, pause, resume or stop the run. The `Reply` has the same `id`."""

    type: Literal["command"]
    id: int
    name: Literal["start", "pause", "resume", "stop"]


class Fetch(TypedDict):
    """Request of a browser page for a file. The answer, a `Fetched`, has the same `client` and `id`."""

    type: Literal["fetch"]
    client: str
    id: int
    format: Format


class NeedFrontEnd(TypedDict):
    """Request of a browser page for the JavaScript and CSS, sent if the page cannot find the `FrontEnd` widget.

    The answer is a `FrontEndFiles` message.
    """

    type: Literal["need_front_end"]


class Frame(TypedDict):
    """Message with the shown matrix: one measure for one pair of models at one moment of the run.

    The two buffers are the values and the standard errors as little-endian float32, row by row. The rows are the layers
    of the first model in `view`, and the columns are the layers of the second model.
    """

    type: Literal["frame"]
    run_id: str
    seq: int
    view: tuple[int, int]
    measure: str
    shape: tuple[int, int]
    about: MeasureInfo
    n_batches: int
    n_samples: int


class Curve(TypedDict):
    """One measure of one pair of layers as a function of the number of batches.

    `values[i]` and `stderr[i]` were computed from the first `n_batches[i]` batches. An entry is None if it could not be
    computed.
    """

    n_batches: list[int]
    values: list[float | None]
    stderr: list[float | None]


class PairMeasure(TypedDict):
    """One measure of one pair of layers: the latest value, its standard error, and the curve over the batches."""

    name: str
    value: float | None
    stderr: float | None
    curve: Curve | None


class Sample(TypedDict):
    """One of the samples on which two layers agree least or most.

    `value` is the agreement, from -1 to 1: the cosine similarity between the sample's row in the centred Gram matrix of
    one layer and its row in the matrix of the other layer.
    """

    index: int
    """index of the sample among all samples of the loader, from 0"""
    label: int | None
    value: float


class Inside(TypedDict):
    """How two layers represent the samples: Gram matrices, spectra, and samples with the least and most agreement.

    The message with this part has three buffers:

    - the Gram matrix of the first layer, as float32 (size, size);
    - the Gram matrix of the second layer, likewise;
    - a thumbnail of each sample in `least`, then of each sample in `most`, as bytes (height, width, channels).

    If all samples have labels, the rows and columns of the Gram matrices are sorted by label.
    """

    size: int
    """number of rows and columns of each Gram matrix in the buffers, at most 128"""
    n_samples: int
    """number of samples from which the spectra are computed; these samples come from the latest batch, or from several
    small batches joined together"""
    labels: list[int] | None
    """for each row of the Gram matrices in the buffers, the class label of its sample; None if a sample has no label"""
    spectrum_x: list[float]
    """up to 64 of the largest eigenvalues of the first layer's Gram matrix, in descending order, each divided by the
    sum of all eigenvalues; empty if the matrix is not finite"""
    spectrum_y: list[float]
    dimension_x: float | None
    """effective dimension of the first layer: the participation ratio (Σλ)² / Σλ² of the eigenvalues λ of its Gram
    matrix; None if undefined"""
    dimension_y: float | None
    n_compared: int
    """number of samples from which `least` and `most` are chosen: all samples with a defined agreement since the first
    inspection of this pair, including the batches that were the latest at that time"""
    least: list[Sample]
    """up to 12 samples on which the layers agree least, in ascending order of agreement"""
    most: list[Sample]
    """up to 12 samples on which the layers agree most, in descending order of agreement"""
    thumbnail: tuple[int, int, int] | None
    """height, width and number of channels of each thumbnail; None if no sample has a thumbnail"""


class Detail(TypedDict):
    """Message with the details of one pair of layers.

    `measures` has the values and curves of all measures. `inside` has Gram matrices, spectra and samples, or is None if
    these are unknown. In a notebook, `inside` is None unless `pair` is the selected pair.
    """

    type: Literal["detail"]
    run_id: str
    seq: int
    pair: Selection
    measures: list[PairMeasure]
    inside: Inside | None


class Reply(TypedDict):
    """Answer to a `Command` of a browser page. `error` is None if the command succeeded."""

    type: Literal["reply"]
    id: int
    error: str | None


class Fetched(TypedDict):
    """Answer to a `Fetch` of a browser page. The message has one buffer, the file, or none if `error` is not None."""

    type: Literal["fetched"]
    client: str
    id: int
    name: str
    mime: str
    error: str | None


class FrontEndFiles(TypedDict):
    """Message with the built front end: the text of a JavaScript module, and the CSS."""

    type: Literal["front_end"]
    javascript: str
    css: str


class Beat(TypedDict):
    """Message that shows the browser page that the kernel is alive.

    `seq` is the number of the latest frame (update of the shown matrix) that the kernel has sent.
    """

    type: Literal["beat"]
    seq: int


ToPython = Ready | Ack | Need | Command | Fetch | NeedFrontEnd
FromPython = Frame | Detail | Reply | Fetched | Beat | FrontEndFiles
