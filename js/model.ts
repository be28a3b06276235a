/** What Python and the page share, typed once here and once in `simwidget/widget/protocol.py`; a test holds both. */

export type RunState = "ready" | "running" | "paused" | "stopped" | "finished" | "failed";
export type Kind = "similarity" | "distance" | "difference";

export interface Axis {
  model: string;
  layers: string[];
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
  /** byte offset of uint16 values, followed by as many errors; of a model with itself only the upper triangle */
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
}

/** The synced traits. Python writes the first five; both write the others. */
export interface State {
  run_id: string;
  axes: Axis[];
  run: RunInfo;
  snapshot: DataView | Uint8Array;
  snapshot_meta: SnapshotMeta;
  measure: string;
  /** positions of the two models in `axes` */
  view: [number, number];
  selection: Selection | null;
  scale: Scale;
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

/** Every measure of one pair of layers, at one moment. */
export interface Detail {
  type: "detail";
  run_id: string;
  seq: number;
  pair: Selection;
  measures: PairMeasure[];
}

export interface Reply {
  type: "reply";
  id: number;
  error: string | null;
}

export interface Beat {
  type: "beat";
  seq: number;
}

export type ToPython = Ready | Ack | Need | Command;
export type FromPython = Frame | Detail | Reply | Beat;
