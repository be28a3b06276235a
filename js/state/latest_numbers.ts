/**
 * The numbers that a page has: the saved snapshot, and the newer numbers that came in messages. A frame has one measure
 * of all pairs of layers; a detail has all measures of one pair.
 */

import type { Detail, Frame, Inside, PairMeasure, Selection } from "./model";
import { pairKey } from "./pairs";
import type { SharedSettings } from "./shared_settings";
import { type Bytes, bytesOf, type Cells, float32, Snapshot } from "./snapshot";

/** The greatest number of pairs whose details are kept. */
const MAX_DETAILS = 8;

/** How two layers represent the same samples, with decoded buffers. */
export interface DecodedInside extends Inside {
  /** the Gram matrices (size, size), row by row */
  gramX: Float32Array;
  gramY: Float32Array;
  /** of the samples in `least`, then of those in `most` */
  thumbnails: Uint8Array;
}

/** The latest detail of one pair. */
export interface PairDetail {
  measures: PairMeasure[];
  inside: DecodedInside | null;
  seq: number;
}

export class LatestNumbers {
  #settings: Pick<SharedSettings, "get">;
  #snapshot: Snapshot | undefined;
  #frames = new Map<string, Cells>();
  #details = new Map<string, PairDetail>();
  #frameSeq = 0;

  constructor(settings: Pick<SharedSettings, "get">) {
    this.#settings = settings;
  }

  get snapshot(): Snapshot {
    const get = this.#settings.get.bind(this.#settings);
    return (this.#snapshot ??= new Snapshot(get("snapshot"), get("snapshot_meta"), get("axes")));
  }

  /** To be called when the synced snapshot has changed. */
  renewSnapshot(): void {
    this.#snapshot = undefined;
  }

  /** The latest numbers of a measure and view; undefined before there are any. */
  cells(measure: string, view: [number, number]): Cells | undefined {
    const frame = this.#frames.get(frameKey(measure, view));
    const { meta } = this.snapshot;
    if (frame && (meta.run_id !== this.#settings.get("run_id") || frame.seq >= meta.seq)) return frame;
    return this.snapshot.cells(measure, view) ?? frame;
  }

  /** The latest detail of a pair, if any has come. */
  detail(pair: Selection | null): PairDetail | undefined {
    return pair ? this.#details.get(pairKey(pair)) : undefined;
  }

  /** The sequence number of the newest numbers of this run; 0 where there are none. */
  get latestSeq(): number {
    const { meta } = this.snapshot;
    return meta.run_id === this.#settings.get("run_id") ? Math.max(this.#frameSeq, meta.seq) : 0;
  }

  /** Keep a frame. Returns false if its shape does not fit the axes, because they have changed since it was sent. */
  takeFrame(frame: Frame, [values, stderr]: Bytes[]): boolean {
    const axes = this.#settings.get("axes");
    const [x, y] = [axes[frame.view[0]], axes[frame.view[1]]];
    if (!x || !y || !values || !stderr || frame.run_id !== this.#settings.get("run_id")) return true;
    if (frame.shape[0] !== x.layers.length || frame.shape[1] !== y.layers.length) return false;
    this.#frameSeq = frame.seq;
    this.#frames.set(frameKey(frame.measure, frame.view), {
      rows: x.layers,
      columns: y.layers,
      modelX: x.model,
      modelY: y.model,
      about: frame.about,
      values: float32(values),
      stderr: float32(stderr),
      seq: frame.seq,
      samples: frame.n_samples,
    });
    return true;
  }

  /** Keep a detail as the newest of its pair, and forget the oldest detail if there are too many. */
  takeDetail(detail: Detail, buffers: Bytes[]): void {
    if (detail.run_id !== this.#settings.get("run_id")) return;
    const key = pairKey(detail.pair);
    // the detail of a pair that is pinned but not held has no `inside`: the last one is kept
    const inside = decodedInside(detail, buffers) ?? this.#details.get(key)?.inside ?? null;
    this.#details.delete(key);
    this.#details.set(key, { measures: detail.measures, inside, seq: detail.seq });
    for (const oldest of this.#details.keys()) {
      if (this.#details.size <= MAX_DETAILS) break;
      this.#details.delete(oldest);
    }
  }
}

function decodedInside({ inside }: Detail, [gramX, gramY, thumbnails]: Bytes[]): DecodedInside | undefined {
  if (!inside || !gramX || !gramY) return undefined;
  return {
    ...inside,
    gramX: float32(gramX),
    gramY: float32(gramY),
    thumbnails: thumbnails ? bytesOf(thumbnails) : new Uint8Array(),
  };
}

function frameKey(measure: string, view: [number, number]): string {
  return `${measure} ${view.join(" ")}`;
}
