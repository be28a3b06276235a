/** The bytes of a snapshot -> the numbers of one view. */

import type { Axis, SnapshotMeta } from "./model";

export interface Cells {
  rows: string[];
  columns: string[];
  modelX: string;
  modelY: string;
  /** row-major values and standard errors, NaN where there is none */
  values: Float32Array;
  stderr: Float32Array;
}

/** A binary trait arrives as a DataView or a Uint8Array, and either may be a window into a larger buffer. */
export function float32(bytes: DataView | Uint8Array, offset: number, length: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const numbers = new Float32Array(length);
  for (let i = 0; i < length; i++) numbers[i] = view.getFloat32(offset + 4 * i, true);
  return numbers;
}

/** The cells of one measure and view; transposed where only the mirrored block was sent. */
export function cellsOf(
  bytes: DataView | Uint8Array,
  meta: SnapshotMeta,
  axes: Axis[],
  measure: string,
  [x, y]: [number, number],
): Cells | undefined {
  const [axisX, axisY] = [axes[x], axes[y]];
  if (axisX === undefined || axisY === undefined) return undefined;
  const n = axisX.layers.length * axisY.layers.length;
  const frame = { rows: axisX.layers, columns: axisY.layers, modelX: axisX.model, modelY: axisY.model };
  for (const block of meta.blocks) {
    if (block.measure !== measure) continue;
    const read = (part: number) => float32(bytes, block.offset + 4 * n * part, n);
    if (block.x === x && block.y === y) return { ...frame, values: read(0), stderr: read(1) };
    if (block.x === y && block.y === x) {
      const swap = (numbers: Float32Array) => transposed(numbers, axisY.layers.length, axisX.layers.length);
      return { ...frame, values: swap(read(0)), stderr: swap(read(1)) };
    }
  }
  return undefined;
}

export function transposed(numbers: Float32Array, rows: number, columns: number): Float32Array {
  const swapped = new Float32Array(numbers.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) swapped[j * rows + i] = numbers[i * columns + j] ?? NaN;
  }
  return swapped;
}
