"""The types of the synced state and of the messages between Python and the page.

The same types are in `js/state/model.ts`; a test checks that both agree.
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
    """for each layer the name of its module's class, "" where it is not known"""


class RunInfo(TypedDict):
    """How far the run is, at the time `at`."""

    state: RunState
    n_batches: int
    n_batches_expected: int | None
    n_samples: int
    rate: float | None
    """samples per second"""
    seconds_left: float | None
    notes: list[str]
    error: str | None
    at: float
    """seconds since 1970"""


class MeasureInfo(TypedDict):
    """What the page must know of a measure; reasons are model -> layer -> why its cells are missing."""

    name: str
    title: str
    kind: Kind
    reasons: dict[str, dict[str, str]]


class BlockInfo(TypedDict):
    """One measure on one pair of models: where its numbers stand in the inflated snapshot, and how they are scaled."""

    measure: str
    x: int
    y: int
    offset: int
    """byte offset of uint16 values, all their low bytes before all high ones, and after them as many errors in the same
    way; of a model with itself only the upper triangle"""
    low: float
    high: float
    error_high: float


class SnapshotMeta(TypedDict):
    """What the snapshot's bytes are. `seq` is that of the frame that would show the same moment."""

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
    """How values become colours: 0 to 1, a range frozen for each measure, or log(1 - s)."""

    mode: Literal["unit", "range", "log"]
    limits: dict[str, tuple[float, float]]
    palette: Palette


class WidgetState(TypedDict):
    """The synced traits. Python writes the first five; both write the others.

    `shows` tells whether the map's colours are values or their errors. `open_x` and `open_y` are, for each model as
    rows and as columns, the blocks that stand open; a model that is not in them is open to its usual depth. Cells with
    an error above `threshold` are hatched.
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
    """A page is there, and has seen frames up to `have_seq` of the run `run_id`."""

    type: Literal["ready"]
    client: str
    run_id: str
    have_seq: int


class Ack(TypedDict):
    """A page reports that it has drawn frame `seq`, or, where it is hidden, that it has received the frame."""

    type: Literal["ack"]
    client: str
    seq: int
    hidden: bool


class Need(TypedDict):
    """A page asks for what is shown, or for the detail of a pair."""

    type: Literal["need"]
    client: str
    what: Literal["frame", "detail"]
    pair: Selection | None


class Command(TypedDict):
    """A page steers the run; the reply has the same id."""

    type: Literal["command"]
    id: int
    name: Literal["start", "pause", "resume", "stop"]


class Fetch(TypedDict):
    """A page asks for a file; the answer has the same client and id."""

    type: Literal["fetch"]
    client: str
    id: int
    format: Format


class Frame(TypedDict):
    """What is shown, at one moment. Buffers: float32 values and standard errors, little-endian, row by row."""

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
    """One measure of one pair over the batches; null where there is no number."""

    n_batches: list[int]
    values: list[float | None]
    stderr: list[float | None]


class PairMeasure(TypedDict):
    """One measure of one pair, at one moment."""

    name: str
    value: float | None
    stderr: float | None
    curve: Curve | None


class Sample(TypedDict):
    """One sample on which two layers agree least or most: the cosine of its rows of their two centred Gram matrices."""

    index: int
    """its place in the pass, from 0"""
    label: int | None
    value: float


class Inside(TypedDict):
    """What two layers make of the samples.

    Buffers of the message: both Gram matrices (size, size) as float32, sorted by label where there are labels, then the
    thumbnails of the least and the most agreed samples as bytes (height, width, channels), one after the other.
    """

    size: int
    """rows of the shown Gram matrices"""
    n_samples: int
    """samples of the latest batch, that the spectra are computed from"""
    labels: list[int] | None
    """of the rows of the shown Gram matrices"""
    spectrum_x: list[float]
    """eigenvalues over their sum, the largest first"""
    spectrum_y: list[float]
    dimension_x: float | None
    """effective dimension: the participation ratio of the spectrum"""
    dimension_y: float | None
    n_compared: int
    """samples that were compared since the pair was first asked for"""
    least: list[Sample]
    """the least agreed first"""
    most: list[Sample]
    """the most agreed first"""
    thumbnail: tuple[int, int, int] | None
    """height, width and channels, where the input is an image"""


class Detail(TypedDict):
    """Every measure of one pair of layers, and for the held one what the layers make of the samples."""

    type: Literal["detail"]
    run_id: str
    seq: int
    pair: Selection
    measures: list[PairMeasure]
    inside: Inside | None


class Reply(TypedDict):
    """The answer to a command."""

    type: Literal["reply"]
    id: int
    error: str | None


class Fetched(TypedDict):
    """A file that a page has asked for, as the one buffer; none if there was an error."""

    type: Literal["fetched"]
    client: str
    id: int
    name: str
    mime: str
    error: str | None


class Beat(TypedDict):
    """The kernel is alive; `seq` is that of its latest frame."""

    type: Literal["beat"]
    seq: int


ToPython = Ready | Ack | Need | Command | Fetch
FromPython = Frame | Detail | Reply | Fetched | Beat
