/** Values -> colours. Limits never follow the data by themselves; only the colour saturates, never the number. */

import { rgb } from "d3-color";
import { scaleLinear, scaleLog } from "d3-scale";
import { interpolateMagma, interpolateRdBu } from "d3-scale-chromatic";
import type { MeasureInfo, Scale } from "./model";

export const STEPS = 256;
/** log(1 - s) ends here: differences beyond 0.999 have one colour. */
const CLOSEST = 1e-3;

export type Rgb = readonly [number, number, number];

export interface Tick {
  /** 0 to 1 along the legend */
  at: number;
  text: string;
}

/** How the values of one measure become colours. */
export interface Colouring {
  /** 256 colours from the low end to the high one */
  colours: readonly Rgb[];
  /** the step of a value, 0 to 255; -1 for a cell without a number */
  step: (value: number) => number;
  ticks: Tick[];
  /** said in the title where it is not the usual scale */
  note: string;
}

export function colouring(about: Pick<MeasureInfo, "name" | "kind">, scale: Scale): Colouring {
  const diverging = about.kind === "difference";
  const table = diverging ? RED_BLUE : MAGMA;
  if (scale.mode === "log" && !diverging) {
    const place = scaleLog()
      .domain([1, CLOSEST])
      .range([0, STEPS - 1])
      .clamp(true);
    const ticks = [0, 0.9, 0.99, 0.999].map((s) => ({ at: place(1 - s) / (STEPS - 1), text: String(s) }));
    const step = (value: number) => (Number.isNaN(value) ? -1 : Math.round(place(Math.max(1 - value, CLOSEST))));
    return { colours: table, step, ticks, note: "colours by log(1 − s)" };
  }
  const frozen = scale.mode === "range" ? scale.limits[about.name] : undefined;
  const [low, high] = frozen ?? (diverging ? [-1, 1] : [0, 1]);
  const place = scaleLinear()
    .domain([low, high])
    .range([0, STEPS - 1])
    .clamp(true);
  const slope = (STEPS - 1) / (high - low);
  const text = (value: number) => (frozen ? value.toFixed(2) : String(value)).replace("-", "−");
  const marks = diverging ? [low, (low + high) / 2, high] : [low, high];
  return {
    colours: table,
    step: (value) =>
      value >= high ? STEPS - 1 : value > low ? Math.round((value - low) * slope) : isNaN(value) ? -1 : 0,
    ticks: marks.map((value) => ({ at: place(value) / (STEPS - 1), text: text(value) })),
    note: frozen ? `colours from ${text(low)} to ${text(high)}` : "",
  };
}

/** The present range of the values, symmetric for a difference; undefined where there are none. */
export function rangeOf(values: Float32Array, about: Pick<MeasureInfo, "kind">): [number, number] | undefined {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(low < high)) return undefined;
  const most = Math.max(-low, high);
  return about.kind === "difference" ? [-most, most] : [low, high];
}

/** The steps of all values. */
export function stepsOf(values: Float32Array, { step }: Colouring): Int16Array {
  const steps = new Int16Array(values.length);
  for (let i = 0; i < values.length; i++) steps[i] = step(values[i] ?? NaN);
  return steps;
}

/** RGBA pixels of a matrix, one a cell; cells without a number stay transparent, so that the hatching shows. */
export function pixels(steps: Int16Array, { colours }: Colouring): Uint8ClampedArray<ArrayBuffer> {
  const data = new Uint8ClampedArray(4 * steps.length);
  const words = new Uint32Array(data.buffer);
  // bytes are red, green, blue, alpha: on every machine a browser runs on, that is the low byte first
  const packed = Uint32Array.from(colours, ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
  for (let i = 0; i < steps.length; i++) {
    const at = steps[i] ?? -1;
    if (at >= 0) words[i] = packed[at] ?? 0;
  }
  return data;
}

/** How many cells have each of some equal parts of the colours. */
export function histogram(steps: Int16Array, bins: number): number[] {
  const each = new Uint32Array(STEPS);
  for (let i = 0; i < steps.length; i++) {
    const at = steps[i] ?? -1;
    if (at >= 0) each[at]! += 1;
  }
  const counts = new Array<number>(bins).fill(0);
  each.forEach((count, step) => (counts[Math.floor((step * bins) / STEPS)]! += count));
  return counts;
}

/** A CSS gradient from the first to the last colour. */
export function gradient({ colours }: Colouring): string {
  const stops = Array.from({ length: 17 }, (_, i) => `rgb(${colours[Math.round((i * (STEPS - 1)) / 16)]?.join(" ")})`);
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

function sampled(interpolate: (t: number) => string): readonly Rgb[] {
  return Array.from({ length: STEPS }, (_, i) => {
    const { r, g, b } = rgb(interpolate(i / (STEPS - 1)));
    return [r, g, b] as const;
  });
}

const MAGMA = sampled(interpolateMagma);
const RED_BLUE = sampled((t) => interpolateRdBu(1 - t));
