"""What Python and the page share, typed once here and once in `js/model.ts`; a test holds that both agree."""

from typing import Literal, TypedDict

from simwidget.progress import State as RunState

Kind = Literal["similarity", "distance", "difference"]


class Axis(TypedDict):
    """One model: its name and its layers in execution order."""

    model: str
    layers: list[str]


class RunInfo(TypedDict):
    """How far the run is, as of the moment `at`."""

    state: RunState
    n_batches: int
    n_batches_expected: int | None
    n_samples: int
    rate: float | None
    """samples a second"""
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
    """byte offset of uint16 values, followed by as many errors; of a model with itself only the upper triangle"""
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


class State(TypedDict):
    """The synced traits. Python writes the first five; both write the others."""

    run_id: str
    axes: list[Axis]
    run: RunInfo
    snapshot: bytes
    snapshot_meta: SnapshotMeta
    measure: str
    view: tuple[int, int]
    selection: Selection | None
    scale: Scale


class Ready(TypedDict):
    """A page is there, and has seen frames up to `have_seq` of the run `run_id`."""

    type: Literal["ready"]
    client: str
    run_id: str
    have_seq: int


class Ack(TypedDict):
    """A page has drawn the frame `seq`; a hidden one has only taken it."""

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


class Detail(TypedDict):
    """Every measure of one pair of layers."""

    type: Literal["detail"]
    run_id: str
    seq: int
    pair: Selection
    measures: list[PairMeasure]


class Reply(TypedDict):
    """The answer to a command."""

    type: Literal["reply"]
    id: int
    error: str | None


class Beat(TypedDict):
    """The kernel is alive; `seq` is that of its latest frame."""

    type: Literal["beat"]
    seq: int


ToPython = Ready | Ack | Need | Command
FromPython = Frame | Detail | Reply | Beat
