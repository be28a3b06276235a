/** Where cells, labels, brackets and profiles are on the map, and what is at a given point; all in CSS pixels. */

import { LABEL_PITCH, type TextWidths } from "../parts/text";
import type { Label } from "./labels";
import type { Side } from "./side";
import type { VisibleCells } from "./viewport";

export const TILT = Math.PI / 3;
/** The least distance of column labels along the axis, larger than that of rows because column labels are tilted. */
export const COLUMN_PITCH = LABEL_PITCH / Math.sin(TILT);
export const PROFILE = 26;
export const GAP = 6;
const MAX_LABEL = 138;
const LEVELS = 4;
const LEVEL = 6;

export interface Rect {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Layout extends Rect {
  /** room for brackets between labels and cells */
  rowGutter: number;
  columnGutter: number;
  /** the longest that the text of a label may be */
  rowRoom: number;
  columnRoom: number;
}

/** A cell by its row and column, or a header: row -1 means the header of a column, column -1 the header of a row. */
export interface Place {
  row: number;
  column: number;
}

export function layoutOf(measure: TextWidths, x: Side, y: Side, width: number, height: number): Layout {
  const [rowGutter, columnGutter] = [gutter(x), gutter(y)];
  const rowRoom = Math.min(widest(measure, x), MAX_LABEL, width * 0.28);
  const columnRoom = Math.min(widest(measure, y), MAX_LABEL, (height * 0.14) / Math.sin(TILT));
  const left = Math.round(rowRoom + rowGutter + 10);
  const top = Math.round(Math.max(44, columnRoom * Math.sin(TILT) + columnGutter + 10));
  // room to the right: for the last tilted labels, which reach beyond the cells, and below them for column profiles
  const right = Math.round(Math.max(columnRoom * Math.cos(TILT) + 10, PROFILE + GAP + 12));
  const below = PROFILE + GAP + 2;
  return {
    left,
    top,
    width: Math.max(1, width - left - right),
    height: Math.max(1, height - top - below),
    rowGutter,
    columnGutter,
    rowRoom,
    columnRoom,
  };
}

function gutter({ brackets }: Side): number {
  return brackets.length ? 4 + LEVEL * bracketLevels(brackets).length : 2;
}

/** The depths at which there are brackets, the outermost first; at most `LEVELS` depths. */
export function bracketLevels(brackets: Side["brackets"]): number[] {
  return [...new Set(brackets.map(({ depth }) => depth))].sort((a, b) => a - b).slice(0, LEVELS);
}

/** The distance of a bracket from the cells. */
export function bracketOffset(levels: number[], depth: number): number {
  return 4 + LEVEL * (levels.length - 1 - levels.indexOf(depth));
}

function widest(measure: TextWidths, { entries, layers }: Side): number {
  let most = 48;
  for (const { index, folded } of entries) {
    most = Math.max(most, measure.width(`${folded === undefined ? "" : "▸ "}${layers[index] ?? ""}`, true) + 2);
    if (most >= MAX_LABEL) return MAX_LABEL;
  }
  return most;
}

/** The cell at a point; undefined outside `frame`, the area of the cells. */
export function placeAt(frame: Rect, visible: VisibleCells, x: number, y: number): Place | undefined {
  const [across, down] = [(x - frame.left) / frame.width, (y - frame.top) / frame.height];
  if (!(across >= 0 && across < 1 && down >= 0 && down < 1)) return undefined;
  const { x0, x1, y0, y1 } = visible;
  return { row: Math.floor(y0 + down * (y1 - y0)), column: Math.floor(x0 + across * (x1 - x0)) };
}

/** The label of a row at a point. */
export function rowLabelAt(layout: Layout, labels: Label[], x: number, y: number): Label | undefined {
  if (x < 0 || x > layout.left - layout.rowGutter) return undefined;
  return labels.find(({ at }) => Math.abs(layout.top + at - y) <= LABEL_PITCH / 2);
}

/** The label of a column at a point. */
export function columnLabelAt(layout: Layout, labels: Label[], x: number, y: number): Label | undefined {
  const down = y - (layout.top - layout.columnGutter - 4);
  if (down > 0) return undefined;
  return labels.find(({ at }) => {
    const across = x - (layout.left + at);
    const beside = across * Math.sin(TILT) + down * Math.cos(TILT);
    const along = across * Math.cos(TILT) - down * Math.sin(TILT);
    return Math.abs(beside) <= LABEL_PITCH / 2 && along >= -2 && along <= layout.columnRoom + 4;
  });
}

/** The path of the block whose bracket is at a point: `off` pixels away from the cells, `at` cells along the axis. */
export function bracketAt({ brackets }: Side, off: number, at: number): string | undefined {
  const levels = bracketLevels(brackets);
  return brackets.find(
    ({ depth, first, last }) =>
      at >= first &&
      at <= last + 1 &&
      levels.includes(depth) &&
      Math.abs(bracketOffset(levels, depth) - off) <= LEVEL / 2,
  )?.path;
}
