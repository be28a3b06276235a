/** What Python and the page share, typed once here and once in `simwidget/widget/protocol.py`; a test holds both. */

export type RunState = "ready" | "running" | "paused" | "stopped" | "finished" | "failed";
export type Kind = "similarity" | "distance" | "difference";
export type Palette = "magma" | "viridis" | "cividis";
export type Format = "csv" | "simw" | "html";

export interface Axis {
  model: string;
  layers: string[];
  /** for each layer the name of its module's class, "" where it is not known */
  kinds: string[];
}

export interface RunInfo {
  state: RunState;
  n_batches: number;
  n_batches_expected: number | null;
  n_samples: number;
  /** samples a second */
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

/** One measure on one pair of models: where its numbers stand in the inflated snapshot, and how they are scaled. */
export interface BlockInfo {
  measure: string;
  x: number;
  y: number;
  /**
   * byte offset of uint16 values, first all low bytes and then all high ones, followed by as many errors; of a model
   * with itself only the upper triangle
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

/** The synced traits. Python writes the first five; both write the others. */
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
  /** for each model as rows the blocks that stand open; one that is not here is open to its usual depth */
  open_x: Record<string, string[]>;
  /** the same for models as columns */
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

/** A file is wanted; the answer has the same client and id. */
export interface Fetch {
  type: "fetch";
  client: string;
  id: number;
  format: Format;
}

/** What is shown, at one moment. Buffers: float32 values and standard errors, little-endian, row by row. */
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

/** One measure of one pair over the batches; null where there is no number. */
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

/** A sample on which two layers agree least or most: the cosine of its rows of their two centred Gram matrices. */
export interface Sample {
  /** its place in the pass, from 0 */
  index: number;
  label: number | null;
  value: number;
}

/**
 * What two layers make of the samples. Buffers of the message: both Gram matrices (size, size) as float32, sorted by
 * label where there are labels, then the thumbnails of the least and the most agreed samples as bytes.
 */
export interface Inside {
  /** rows of the shown Gram matrices */
  size: number;
  /** samples of the latest batch, on which the spectra rest */
  n_samples: number;
  /** of the rows of the shown Gram matrices */
  labels: number[] | null;
  /** eigenvalues over their sum, the largest first */
  spectrum_x: number[];
  spectrum_y: number[];
  /** effective dimension: the participation ratio of the spectrum */
  dimension_x: number | null;
  dimension_y: number | null;
  /** samples that were compared since the pair was first asked for */
  n_compared: number;
  /** the least agreed first */
  least: Sample[];
  /** the most agreed first */
  most: Sample[];
  /** height, width and channels, where the input is an image */
  thumbnail: [number, number, number] | null;
}

/** Every measure of one pair of layers, at one moment; for the held one also what the layers make of the samples. */
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

/** A file that was asked for, as the one buffer; none if there was an error. */
export interface Fetched {
  type: "fetched";
  client: string;
  id: number;
  name: string;
  mime: string;
  error: string | null;
}

export interface Beat {
  type: "beat";
  seq: number;
}

export type ToPython = Ready | Ack | Need | Command | Fetch;
export type FromPython = Frame | Detail | Reply | Fetched | Beat;
