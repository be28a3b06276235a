/** The saved snapshot: compressed bytes with the numbers of all measures and views, and how they are read. */

import { unzlibSync } from "fflate";
import type { Axis, BlockInfo, MeasureInfo, SnapshotMeta } from "./model";

/** The numbers of one measure and view, at one moment. */
export interface Cells {
  rows: string[];
  columns: string[];
  modelX: string;
  modelY: string;
  about: MeasureInfo;
  /** values and standard errors, row by row; NaN where there is no number */
  values: Float32Array;
  stderr: Float32Array;
  seq: number;
  samples: number;
}

/** Values are stored as uint16 steps: 0 is the low end of their range, this number the high end. */
const STEPS = 65534;
/** The step that is stored where there is no number. */
const MISSING = 65535;

/** Bytes in one of the types in which Jupyter's front ends deliver them. */
export type Bytes = DataView | Uint8Array | ArrayBuffer;

/** The bytes as a Uint8Array, without a copy; `data` may be a part of a larger buffer. */
export function bytesOf(data: Bytes): Uint8Array {
  return data instanceof ArrayBuffer
    ? new Uint8Array(data)
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export function float32(data: Bytes): Float32Array {
  // the copy is aligned to 4 bytes; all machines that browsers run on are little-endian
  return new Float32Array(bytesOf(data).slice().buffer);
}

/** All numbers at one moment, as a notebook saves them. They are decompressed when they are first asked for. */
export class Snapshot {
  #deflated: Uint8Array;
  #inflated: Uint8Array | undefined;
  #known = new Map<string, Cells | undefined>();

  constructor(
    data: DataView | Uint8Array,
    readonly meta: SnapshotMeta,
    readonly axes: Axis[],
  ) {
    this.#deflated = bytesOf(data);
  }

  about(measure: string): MeasureInfo | undefined {
    return this.meta.measures.find(({ name }) => name === measure);
  }

  /** The numbers of one measure and view. They are transposed if they were saved with rows and columns exchanged. */
  cells(measure: string, view: [number, number]): Cells | undefined {
    const key = JSON.stringify([measure, view]);
    if (!this.#known.has(key)) this.#known.set(key, this.#cells(measure, view));
    return this.#known.get(key);
  }

  #cells(measure: string, [x, y]: [number, number]): Cells | undefined {
    const [axisX, axisY, about] = [this.axes[x], this.axes[y], this.about(measure)];
    const block = this.meta.blocks.find(
      (one) => one.measure === measure && ((one.x === x && one.y === y) || (one.x === y && one.y === x)),
    );
    if (axisX === undefined || axisY === undefined || about === undefined || block === undefined) return undefined;
    const shape: [number, number] = [this.axes[block.x]?.layers.length ?? 0, this.axes[block.y]?.layers.length ?? 0];
    let { values, stderr } = this.#read(block, shape);
    if (block.x !== x) [values, stderr] = [transposed(values, ...shape), transposed(stderr, ...shape)];
    return {
      rows: axisX.layers,
      columns: axisY.layers,
      modelX: axisX.model,
      modelY: axisY.model,
      about,
      values,
      stderr,
      seq: this.meta.seq,
      samples: this.meta.n_samples,
    };
  }

  #read(block: BlockInfo, [rows, columns]: [number, number]): { values: Float32Array; stderr: Float32Array } {
    const bytes = (this.#inflated ??= unzlibSync(this.#deflated));
    const symmetric = block.x === block.y;
    const count = symmetric ? (rows * (rows + 1)) / 2 : rows * columns;
    const numbers = (offset: number, low: number, high: number) => {
      const at = (k: number) => {
        // the low bytes of all numbers come before the high bytes
        const step = bytes[offset + k]! | (bytes[offset + count + k]! << 8);
        return step === MISSING ? NaN : low + (step * (high - low)) / STEPS;
      };
      const all = new Float32Array(rows * columns);
      if (!symmetric) return all.map((_, k) => at(k));
      for (let i = 0, k = 0; i < rows; i++) {
        for (let j = i; j < columns; j++, k++) all[i * columns + j] = all[j * columns + i] = at(k);
      }
      return all;
    };
    return {
      values: numbers(block.offset, block.low, block.high),
      stderr: numbers(block.offset + 2 * count, 0, block.error_high),
    };
  }
}

export function transposed(numbers: Float32Array, rows: number, columns: number): Float32Array {
  const swapped = new Float32Array(numbers.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) swapped[j * rows + i] = numbers[i * columns + j] ?? NaN;
  }
  return swapped;
}
