/** Images with one pixel for each cell: the colours of the cells, and which cells are hatched. */

import type { Cells } from "../state/snapshot";
import type { Colouring } from "./palette";
import type { Side } from "./side";

/** An image that is painted again only when what it shows has changed. */
export class Raster {
  readonly canvas = document.createElement("canvas");
  #seen: readonly unknown[] = [];

  /** Whether any argument is not identical to that of the last call. */
  changed(...given: readonly unknown[]): boolean {
    if (given.length === this.#seen.length && given.every((one, i) => one === this.#seen[i])) return false;
    this.#seen = given;
    return true;
  }

  /** Paint the pixels, one uint32 each, which holds alpha, blue, green and red from the highest byte to the lowest. */
  paint(width: number, height: number, words: Uint32Array<ArrayBuffer>): void {
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    if (!width || !height) return;
    const image = new ImageData(new Uint8ClampedArray(words.buffer), width, height);
    this.canvas.getContext("2d")?.putImageData(image, 0, 0);
  }
}

/** The colours of the cells of two sides; cells without a number stay transparent. */
export function cellPixels(x: Side, y: Side, steps: Int16Array, { colours }: Colouring): Uint32Array<ArrayBuffer> {
  // bytes in memory: red, green, blue, alpha; all machines that browsers run on are little-endian
  const packed = Uint32Array.from(colours, ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
  const { words, across } = emptyPixels(x, y);
  let k = 0;
  for (const { index } of x.entries) {
    const from = index * y.layers.length;
    for (let j = 0; j < across.length; j++, k++) {
      const step = steps[from + across[j]!]!;
      if (step >= 0) words[k] = packed[step]!;
    }
  }
  return words;
}

/**
 * The mask of hatched cells and their number. A pixel is opaque if its cell has a number whose error exceeds the
 * threshold or is not known yet.
 */
export function hatchPixels(
  x: Side,
  y: Side,
  { values, stderr }: Cells,
  threshold: number,
): [Uint32Array<ArrayBuffer>, number] {
  const { words, across } = emptyPixels(x, y);
  let [k, count] = [0, 0];
  for (const { index } of x.entries) {
    const from = index * y.layers.length;
    for (let j = 0; j < across.length; j++, k++) {
      const at = from + across[j]!;
      // false for NaN: an error that is not known yet counts as too large
      if (stderr[at]! <= threshold || Number.isNaN(values[at])) continue;
      words[k] = 0xff000000;
      count++;
    }
  }
  return [words, count];
}

function emptyPixels(x: Side, y: Side) {
  const across = Int32Array.from(y.entries, ({ index }) => index);
  return { words: new Uint32Array(x.entries.length * across.length), across };
}
