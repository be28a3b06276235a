/**
 * How values become colours. The limits never follow the data by themselves, so that a colour means the same number in
 * every frame; values beyond them have the last colour.
 */

import { rgb } from "d3-color";
import { scaleLinear, scaleLog } from "d3-scale";
import { interpolateCividis, interpolateMagma, interpolateRdBu, interpolateViridis } from "d3-scale-chromatic";
import type { MeasureInfo, Palette, Scale } from "../state/model";
import { entryOf } from "../state/records";

export const STEPS = 256;
/** The least distance 1 - s on the scale log(1 - s): all similarities s over 0.999 have the same colour. */
const MIN_DISTANCE = 1e-3;

export type Rgb = readonly [number, number, number];

export interface Tick {
  /** position along the legend, from 0 to 1 */
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
  /** a text for the title if the scale is not the usual one; "" if it is */
  note: string;
  /** the values at both ends of the scale */
  limits: [number, number];
}

/** What colours show: the values of a measure; or, if there is a threshold, the measure's standard errors. */
export type ColourSource = Pick<MeasureInfo, "name" | "kind"> & { threshold?: number };

export function colouringOf(about: ColourSource, scale: Scale): Colouring {
  const errors = about.threshold !== undefined;
  const diverging = about.kind === "difference" && !errors;
  const table = diverging ? RED_BLUE : TABLES[scale.palette];
  if (scale.mode === "log" && !diverging && !errors) {
    const place = scaleLog()
      .domain([1, MIN_DISTANCE])
      .range([0, STEPS - 1])
      .clamp(true);
    const ticks = [0, 0.9, 0.99, 0.999].map((s) => ({ at: place(1 - s) / (STEPS - 1), text: String(s) }));
    const step = (value: number) => (Number.isNaN(value) ? -1 : Math.round(place(Math.max(1 - value, MIN_DISTANCE))));
    return { colours: table, step, ticks, note: "colours by log(1 − s)", limits: [0, 1] };
  }
  const frozen = scale.mode === "range" ? entryOf(scale.limits, about.name) : undefined;
  const [low, high] = frozen ?? (errors ? [0, 5 * (about.threshold || 0.02)] : diverging ? [-1, 1] : [0, 1]);
  const place = scaleLinear()
    .domain([low, high])
    .range([0, STEPS - 1])
    .clamp(true);
  const slope = (STEPS - 1) / (high - low);
  const digits = errors ? 3 : 2;
  const text = (value: number) =>
    (frozen ? value.toFixed(digits) : String(Number(value.toPrecision(6)))).replace("-", "−");
  const marks = diverging ? [low, (low + high) / 2, high] : [low, high];
  return {
    colours: table,
    step: (value) =>
      value >= high ? STEPS - 1 : value > low ? Math.round((value - low) * slope) : isNaN(value) ? -1 : 0,
    ticks: marks.map((value) => ({ at: place(value) / (STEPS - 1), text: text(value) })),
    note: frozen ? `colours from ${text(low)} to ${text(high)}` : "",
    limits: [low, high],
  };
}

/** The range of the values, symmetric around 0 for a difference; undefined if no two values differ. */
export function rangeOf(
  values: Float32Array,
  about: Pick<ColourSource, "kind" | "threshold">,
): [number, number] | undefined {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(low < high)) return undefined;
  const most = Math.max(-low, high);
  return about.kind === "difference" && about.threshold === undefined ? [-most, most] : [low, high];
}

/** For each value its step on the colour scale, 0 to 255; -1 for NaN. */
export function stepsOf(values: Float32Array, { step }: Colouring): Int16Array {
  const steps = new Int16Array(values.length);
  for (let i = 0; i < values.length; i++) steps[i] = step(values[i] ?? NaN);
  return steps;
}

/** The colours of some numbers: a colour scale, and for each number its step on the scale. */
export interface ColouredNumbers {
  colours: Colouring;
  steps: Int16Array;
}

export function colourNumbers(numbers: Float32Array, source: ColourSource, scale: Scale): ColouredNumbers {
  const colours = colouringOf(source, scale);
  return { colours, steps: stepsOf(numbers, colours) };
}

/** Return a `colourNumbers` that remembers its last result, since numbers and scale rarely change between drawings. */
export function rememberingColours(): typeof colourNumbers {
  let last: (ColouredNumbers & { numbers: Float32Array; key: string }) | undefined;
  return (numbers, source, scale) => {
    const key = JSON.stringify([source.name, source.kind, source.threshold, scale]);
    if (last?.key !== key) last = { numbers, key, ...colourNumbers(numbers, source, scale) };
    else if (last.numbers !== numbers) last = { ...last, numbers, steps: stepsOf(numbers, last.colours) };
    return { colours: last.colours, steps: last.steps };
  };
}

/** How many cells there are in each of `bins` equal parts of the scale. */
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

const TABLES: Record<Palette, readonly Rgb[]> = {
  magma: sampled(interpolateMagma),
  viridis: sampled(interpolateViridis),
  cividis: sampled(interpolateCividis),
};
const RED_BLUE = sampled((t) => interpolateRdBu(1 - t));
