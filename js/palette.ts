/** Values -> colours. The limits are 0 and 1 whatever the data; only the colour saturates, never the number. */

import { rgb } from "d3-color";
import { interpolateMagma } from "d3-scale-chromatic";

const STEPS = 256;

export type Rgb = readonly [number, number, number];

/** The colour of a value in magma with 256 steps; undefined for a cell without a number. */
export function colour(value: number): Rgb | undefined {
  if (Number.isNaN(value)) return undefined;
  const step = Math.round(Math.min(1, Math.max(0, value)) * (STEPS - 1));
  const { r, g, b } = rgb(interpolateMagma(step / (STEPS - 1)));
  return [r, g, b];
}

/** RGBA pixels of a matrix, one a cell; cells without a number stay transparent, so that the hatching shows. */
export function pixels(values: Float32Array): Uint8ClampedArray<ArrayBuffer> {
  const table = Array.from({ length: STEPS }, (_, step) => colour(step / (STEPS - 1)));
  const data = new Uint8ClampedArray(4 * values.length);
  values.forEach((value, i) => {
    const known = Number.isNaN(value) ? undefined : table[Math.round(Math.min(1, Math.max(0, value)) * (STEPS - 1))];
    if (known !== undefined) data.set([...known, 255], 4 * i);
  });
  return data;
}

/** A CSS gradient from the first to the last colour, for the legend. */
export function gradient(): string {
  const stops = Array.from({ length: 17 }, (_, i) => interpolateMagma(i / 16));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
