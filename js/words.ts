/** What the page says of a cell. */

import type { MeasureInfo } from "./model";
import type { Cells } from "./snapshot";

/** A value with its standard error; the digits follow the error. */
export function valueWithError(value: number, stderr: number): string {
  if (Number.isNaN(stderr)) return `${value.toFixed(3)}, error n/a (needs 2 batches)`;
  const digits = stderr > 0 ? Math.min(5, Math.max(2, 1 - Math.floor(Math.log10(Number(stderr.toPrecision(2)))))) : 3;
  return `${value.toFixed(digits)} ± ${stderr.toFixed(digits)}`;
}

/** The value of one cell, or why it has none. */
export function cellText(cells: Cells, measure: MeasureInfo, i: number, j: number): string {
  const at = i * cells.columns.length + j;
  const value = cells.values[at] ?? NaN;
  if (!Number.isNaN(value)) return `${measure.title} ${valueWithError(value, cells.stderr[at] ?? NaN)}`;
  const [x, y] = [cells.rows[i] ?? "", cells.columns[j] ?? ""];
  const why = measure.reasons[cells.modelX]?.[x] ?? measure.reasons[cells.modelY]?.[y];
  return `${measure.title} missing: ${why ?? "not computed"}`;
}
