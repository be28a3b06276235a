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
    """for each layer the name of its module's class, "" if unknown"""


class RunInfo(TypedDict):
    """State and progress of a run at the time `at`."""

    state: RunState
    n_batches: int
    n_batches_expected: int | None
    n_samples: int
    rate: float | None
    """mean number of samples per second so far; None if unknown, such as before the first batch"""
    seconds_left: float | None
    notes: list[str]
    error: str | None
    at: float
    """the time for which the other fields hold, in seconds since 1970"""


class MeasureInfo(TypedDict):
    """Description of a measure, or of a difference of two measures, for the browser page.

    `reasons` maps model -> layer -> the reason why the matrix has no numbers for this layer.
    """

    name: str
    title: str
    kind: Kind
    reasons: dict[str, dict[str, str]]


class BlockInfo(TypedDict):
    """Where a snapshot stores the matrix of one measure for one pair of models, and what the 16-bit codes stand for.

    `x` and `y` are the positions of the two models. For values, code 0 stands for `low` and code 65534 for `high`; for
    standard errors, code 0 stands for 0 and code 65534 for `error_high`. Code 65535 is NaN.
    """

    measure: str
    x: int
    y: int
    offset: int
    """Position of the matrix's first byte in the decompressed snapshot. The uint16 codes of the values come first: all
    low bytes, then all high bytes. The codes of the standard errors follow in the same layout. If the two models are
    the same, only the upper triangle with the diagonal is stored."""
    low: float
    high: float
    error_high: float


class SnapshotMeta(TypedDict):
    """Description of the bytes of a snapshot, which holds the numbers of all measures in compact form.

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

    - With `mode` "unit", the colour limits are 0 and 1 for a measure, -1 and 1 for a difference of measures, and 0 and
      5 × `threshold` for standard errors.
    - With "range", the colour limits are the entry (low, high) of the measure in `limits`. The key for the standard
      errors of a measure is the name of the measure followed by " ±". Without an entry, the limits of "unit" hold.
    - With "log", a similarity s is coloured by log(1 - s). For differences and standard errors, the limits of "unit"
      hold.
    """

    mode: Literal["unit", "range", "log"]
    limits: dict[str, tuple[float, float]]
    palette: Palette


class WidgetState(TypedDict):
    """The synced traits of the widget. Python may set all of them, the browser all except the first five.

    `shows` tells whether the colours show the values or their standard errors. `open_x` maps each model to the blocks
    (groups of layers) that are unfolded when the model is on the rows; `open_y` does the same for the columns. If a
    model has no entry, its blocks are folded so that it has at most 25 rows or columns where possible. Cells with a
    standard error above `threshold` are hatched.
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
    """Message by which a browser page acknowledges frame number `seq`, an update of the shown matrix.

    A page sends this message when it has drawn the frame, but at most 250 ms after it has received the frame, because a
    hidden page draws nothing.
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
    """Request of a browser page that cannot find the `FrontEnd` widget. The answer is a `FrontEndFiles` message."""

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
    """One measure of one pair of layers as the run progresses: entry i was computed from `n_batches[i]` batches.

    A value or standard error is None if it could not be computed.
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

    `value` is the agreement, from -1 to 1: the cosine of the sample's rows in the two layers' centred Gram matrices.
    """

    index: int
    """index of the sample among all samples of the loader, from 0"""
    label: int | None
    value: float


class Inside(TypedDict):
    """How two layers represent the samples: Gram matrices, spectra, and the samples on which they agree least and most.

    The message has three buffers: the Gram matrix of each layer, as float32 (size, size), and the thumbnails of the
    samples in `least` and then in `most`, as bytes (height, width, channels). The rows of the Gram matrices are sorted
    by label if all samples have labels.
    """

    size: int
    """number of rows and columns of each Gram matrix in the buffers, at most 128"""
    n_samples: int
    """number of samples from which the spectra are computed; the samples come from the latest batch, or from several
    small batches that are joined"""
    labels: list[int] | None
    """class labels of the rows of the Gram matrices in the buffers; None if not all samples have labels"""
    spectrum_x: list[float]
    """the largest eigenvalues of the first layer's Gram matrix divided by the sum of all eigenvalues, in descending
    order; empty if the matrix is not finite"""
    spectrum_y: list[float]
    dimension_x: float | None
    """effective dimension of the first layer: the participation ratio (Σλ)² / Σλ² of the eigenvalues λ of its Gram
    matrix; None if undefined"""
    dimension_y: float | None
    n_compared: int
    """number of samples from which `least` and `most` are chosen: the samples with a defined agreement in the batches
    that were the latest when this pair was first inspected, and in all later batches"""
    least: list[Sample]
    """up to 12 samples on which the layers agree least, in ascending order of agreement"""
    most: list[Sample]
    """up to 12 samples on which the layers agree most, in descending order of agreement"""
    thumbnail: tuple[int, int, int] | None
    """height, width and channels of each thumbnail; None if the samples are not images"""


class Detail(TypedDict):
    """Message with the details of one pair of layers.

    `measures` has the values and curves of all measures. `inside` has Gram matrices, spectra and samples, or is None if
    they are not known. In a notebook, `inside` is also None for every pair except the selected pair.
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
    """Answer to a `Fetch` of a browser page. The only buffer is the file; after an error there is no buffer."""

    type: Literal["fetched"]
    client: str
    id: int
    name: str
    mime: str
    error: str | None


class FrontEndFiles(TypedDict):
    """The built front end: a JavaScript module and its styles."""

    type: Literal["front_end"]
    javascript: str
    css: str


class Beat(TypedDict):
    """Message that tells the browser page that the kernel is alive.

    `seq` is the number of the latest frame (update of the shown matrix) that the kernel has sent.
    """

    type: Literal["beat"]
    seq: int


ToPython = Ready | Ack | Need | Command | Fetch | NeedFrontEnd
FromPython = Frame | Detail | Reply | Fetched | Beat | FrontEndFiles
