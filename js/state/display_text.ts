/** Texts about numbers, cells and the run, as the page shows them. */

import type { MeasureInfo, RunInfo, Selection } from "./model";
import { entryOf } from "./records";
import type { Cells } from "./snapshot";

/** A value and its standard error, with as many digits as the error leaves meaningful. */
export function numberTexts(value: number, stderr: number): [string, string] {
  const minus = (text: string) => text.replace("-", "−");
  if (Number.isNaN(stderr)) return [minus(value.toFixed(3)), "± n/a, needs 2 batches"];
  const digits = stderr > 0 ? Math.min(5, Math.max(2, 1 - Math.floor(Math.log10(Number(stderr.toPrecision(2)))))) : 3;
  return [minus(value.toFixed(digits)), `± ${stderr.toFixed(digits)}`];
}

export function pairAt(cells: Cells, row: number, column: number): Selection {
  return {
    model_x: cells.modelX,
    layer_x: cells.rows[row] ?? "",
    model_y: cells.modelY,
    layer_y: cells.columns[column] ?? "",
  };
}

/** A layer with its model. */
export function layerText(model: string, layer: string): string {
  return `${model} › ${layer}`;
}

/** Why the cell of a pair has no number. */
export function whyMissing(about: MeasureInfo, pair: Selection): string {
  const of = (model: string, layer: string) => entryOf(entryOf(about.reasons, model) ?? {}, layer);
  const [x, y] = [of(pair.model_x, pair.layer_x), of(pair.model_y, pair.layer_y)];
  if (x === undefined && y === undefined) return "not computed";
  return x !== undefined ? `${pair.layer_x}: ${x}` : `${pair.layer_y}: ${y}`;
}

/** The measure and value of one cell with its error, or why it has none. */
export function valueText(cells: Cells, row: number, column: number): string {
  const at = row * cells.columns.length + column;
  const value = cells.values[at] ?? NaN;
  if (!Number.isNaN(value)) return `${cells.about.title} ${numberTexts(value, cells.stderr[at] ?? NaN).join(" ")}`;
  return `${cells.about.title} missing: ${whyMissing(cells.about, pairAt(cells, row, column))}`;
}

/** The state of the run and the number of batches so far, as a text. */
export function runText({ state, n_batches, n_batches_expected, error }: RunInfo): string {
  const batch = `${countText(n_batches)}${n_batches_expected === null ? "" : ` of ${countText(n_batches_expected)}`}`;
  if (state === "ready") return "Not started";
  if (state === "running" && n_batches === 0) return "Waiting for the loader";
  if (state === "running") return `Batch ${batch}`;
  if (state === "paused") return `Paused at batch ${batch}`;
  if (state === "finished") return n_batches ? `Finished, ${countText(n_batches)} batches` : "Finished";
  if (state === "failed") return `Failed after batch ${batch}: ${error ?? "unknown error"}`;
  return `Stopped after batch ${batch}`;
}

/** The notes of a run, without the note that repeats the error in `runText`. */
export function notesOf({ state, error, notes }: RunInfo): string[] {
  return state === "failed" && error ? notes.filter((one) => !one.includes(error)) : notes;
}

/** The number of samples, their rate, and the time left. */
export function paceText({ n_samples, rate, seconds_left }: RunInfo): string {
  const parts = [n_samples ? `${countText(n_samples)} samples` : ""];
  if (rate !== null) parts.push(`${countText(rate >= 100 ? Math.round(rate) : Number(rate.toPrecision(2)))} samples/s`);
  if (seconds_left !== null) parts.push(`${clock(seconds_left)} left`);
  return parts.filter(Boolean).join("  ");
}

/** The time when the kernel was last heard, if `lastHeard` is given; else "". */
export function heardText(lastHeard: number | undefined, gone: boolean): string {
  if (lastHeard === undefined) return "";
  const since = `last heard at ${new Date(lastHeard).toLocaleTimeString()}`;
  return gone ? `${since}, the kernel was restarted` : since;
}

/** Seconds as m:ss or h:mm:ss. */
export function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** A text with the largest standard error; "" if there is none. */
export function widestText(stderr: Float32Array): string {
  let most = -Infinity;
  for (const one of stderr) if (one > most) most = one;
  return most > -Infinity ? `errors ≤ ${most.toFixed(3)}` : "";
}

function countText(n: number): string {
  return n.toLocaleString("en");
}
