/**
 * The synced state of the widget and the messages between Python and the page. `simwidget/widget/protocol.py` declares
 * the same types for Python, and `tests/widget/test_protocol.py` compares the two.
 */

export type RunState = "ready" | "running" | "paused" | "stopped" | "finished" | "failed";
export type Kind = "similarity" | "distance" | "difference";
export type Palette = "magma" | "viridis" | "cividis";
export type Format = "csv" | "simw" | "html";

export interface Axis {
  model: string;
  layers: string[];
  /** for each layer the name of its module's class, "" where that is unknown */
  kinds: string[];
}

export interface RunInfo {
  state: RunState;
  n_batches: number;
  n_batches_expected: number | null;
  n_samples: number;
  /** samples per second */
  rate: number | null;
  seconds_left: number | null;
  notes: string[];
  error: string | null;
  /** seconds since 1970 */
  at: number;
}

export interface MeasureInfo {
  name: string;
  title: string;
  kind: Kind;
  /** model -> layer -> why its cells are missing */
  reasons: Record<string, Record<string, string>>;
}

/** One measure on one pair of models: where its numbers are in the inflated snapshot, and how they are scaled. */
export interface BlockInfo {
  measure: string;
  x: number;
  y: number;
  /**
   * byte offset of the values, which are uint16: first the low bytes of all values, then the high bytes; the standard
   * errors follow in the same way. For a model compared with itself, only the upper triangle is stored.
   */
  offset: number;
  low: number;
  high: number;
  error_high: number;
}

export interface SnapshotMeta {
  run_id: string;
  seq: number;
  measures: MeasureInfo[];
  blocks: BlockInfo[];
  n_batches: number;
  n_samples: number;
  complete: boolean;
}

/** A pair of layers, by name. */
export interface Selection {
  model_x: string;
  layer_x: string;
  model_y: string;
  layer_y: string;
}

/** How values become colours: 0 to 1, a range frozen for each measure, or log(1 - s). */
export interface Scale {
  mode: "unit" | "range" | "log";
  limits: Record<string, [number, number]>;
  palette: Palette;
}

/** The synced traits. Python alone writes the first five; Python and the page both write the others. */
export interface WidgetState {
  run_id: string;
  axes: Axis[];
  run: RunInfo;
  snapshot: DataView | Uint8Array;
  snapshot_meta: SnapshotMeta;
  measure: string;
  /** positions of the two models in `axes` */
  view: [number, number];
  /** whether the map's colours are values or their errors */
  shows: "values" | "errors";
  selection: Selection | null;
  pinned: Selection[];
  /** for each model that is shown as rows, its open blocks; a model without an entry has the default blocks open */
  open_x: Record<string, string[]>;
  /** the same for models that are shown as columns */
  open_y: Record<string, string[]>;
  scale: Scale;
  /** cells with a larger error are hatched */
  threshold: number;
}

export interface Ready {
  type: "ready";
  client: string;
  run_id: string;
  have_seq: number;
}

export interface Ack {
  type: "ack";
  client: string;
  seq: number;
  hidden: boolean;
}

export interface Need {
  type: "need";
  client: string;
  what: "frame" | "detail";
  pair: Selection | null;
}

export interface Command {
  type: "command";
  id: number;
  name: "start" | "pause" | "resume" | "stop";
}

/** The page's request for a file; the answer (`Fetched`) has the same client and id. */
export interface Fetch {
  type: "fetch";
  client: string;
  id: number;
  format: Format;
}

/** Request of a page that cannot find the model with the front end. The answer is `FrontEndFiles`. */
export interface NeedFrontEnd {
  type: "need_front_end";
}

/** The numbers of one measure and view at one moment. Buffers: values and standard errors, float32, row by row. */
export interface Frame {
  type: "frame";
  run_id: string;
  seq: number;
  view: [number, number];
  measure: string;
  shape: [number, number];
  about: MeasureInfo;
  n_batches: number;
  n_samples: number;
}

/** One measure of one pair of layers, after each number of batches in `n_batches`; null where there is no number. */
export interface Curve {
  n_batches: number[];
  values: (number | null)[];
  stderr: (number | null)[];
}

export interface PairMeasure {
  name: string;
  value: number | null;
  stderr: number | null;
  curve: Curve | null;
}

/** A sample on which two layers agree least or most; `value` is the cosine of its rows in the centred Gram matrices. */
export interface Sample {
  /** the sample's place in the order of the data, from 0 */
  index: number;
  label: number | null;
  value: number;
}

/**
 * How two layers represent the same samples. Buffers of the message: both Gram matrices (size, size) as float32, sorted
 * by label where there are labels; then the thumbnails of the samples in `least` and in `most`, as bytes.
 */
export interface Inside {
  /** number of rows of the shown Gram matrices */
  size: number;
  /** number of samples of the latest batch, from which the spectra are computed */
  n_samples: number;
  /** for each row of the shown Gram matrices its label */
  labels: number[] | null;
  /** eigenvalues divided by their sum, the largest first */
  spectrum_x: number[];
  spectrum_y: number[];
  /** effective dimension: the participation ratio of the spectrum */
  dimension_x: number | null;
  dimension_y: number | null;
  /** number of samples that were compared since this pair was first asked for */
  n_compared: number;
  /** the samples on which the layers agree least, the worst first */
  least: Sample[];
  /** the samples on which the layers agree most, the best first */
  most: Sample[];
  /** height, width and channels of a thumbnail, if the input is an image */
  thumbnail: [number, number, number] | null;
}

/** Every measure of one pair of layers at one moment; for the held pair also how the layers represent the samples. */
export interface Detail {
  type: "detail";
  run_id: string;
  seq: number;
  pair: Selection;
  measures: PairMeasure[];
  inside: Inside | null;
}

export interface Reply {
  type: "reply";
  id: number;
  error: string | null;
}

/** The answer to `Fetch`. Its one buffer is the file; there is no buffer if there was an error. */
export interface Fetched {
  type: "fetched";
  client: string;
  id: number;
  name: string;
  mime: string;
  error: string | null;
}

/** The built front end: a module and its styles. */
export interface FrontEndFiles {
  type: "front_end";
  javascript: string;
  css: string;
}

export interface Beat {
  type: "beat";
  seq: number;
}

export type ToPython = Ready | Ack | Need | Command | Fetch | NeedFrontEnd;
export type FromPython = Frame | Detail | Reply | Fetched | Beat | FrontEndFiles;
