/** What Python and the page share, typed once. Python's side is `simwidget/widget/heatmap.py`. */

export interface Axis {
  model: string;
  layers: string[];
}

export interface MeasureInfo {
  name: string;
  title: string;
  kind: "similarity" | "distance";
  /** model -> layer -> why its cells are missing */
  reasons: Record<string, Record<string, string>>;
}

/** One measure on one pair of models: where its numbers stand in the snapshot's bytes. */
export interface BlockInfo {
  measure: string;
  x: number;
  y: number;
  /** byte offset of rows x columns float32 values, followed by as many standard errors */
  offset: number;
}

export interface SnapshotMeta {
  measures: MeasureInfo[];
  blocks: BlockInfo[];
  n_samples: number;
  n_batches: number;
  complete: boolean;
  notes: string[];
}

export interface HeatmapState {
  axes: Axis[];
  snapshot: DataView | Uint8Array;
  snapshot_meta: SnapshotMeta;
  measure: string;
  /** positions of the two models in `axes` */
  view: [number, number];
}
