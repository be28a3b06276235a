/** Which rows and blocks of an axis have a label, such that no two labels overlap. */

import type { Side } from "./side";
import { blockAt } from "./side";
import type { Bracket } from "./layer_tree";

export interface Label {
  /** the middle of the label along the axis, in pixels from the start of the visible part */
  at: number;
  /** the layer's or block's name */
  name: string;
  /** the block that a click on the label opens (if the block is folded) or folds */
  block?: { path: string; folded: boolean };
  /** the position of the row; undefined for the label of a block */
  position?: number;
  strong: boolean;
}

/**
 * The labels of a side between the positions `from` and `to`, a part that is `length` pixels long. Rows in `strong`
 * (pointed at, or of the held pair) are labelled first. Then every row is labelled if there is room for all. If not,
 * labels go, as far as there is room, to outer blocks, folded blocks, inner blocks and rows in no block, in this order.
 */
export function labelsOf(
  side: Side,
  from: number,
  to: number,
  length: number,
  strong: number[],
  pitch: number,
): Label[] {
  const cell = length / (to - from);
  const place = new Places(length, pitch);
  const labels: Label[] = [];
  const row = (position: number, isStrong = false) => {
    const entry = side.entries[position];
    const at = (position + 0.5 - from) * cell;
    if (!entry || !place.take(at)) return;
    const name = side.layers[entry.index] ?? "";
    const block = blockAt(side, position);
    labels.push({ at, name, position, strong: isStrong, ...(block && { block }) });
  };
  for (const position of strong) row(position, true);
  const rows = visibleRows(side, from, to, Math.max(1, Math.ceil(pitch / cell)));
  if (cell >= pitch) rows.forEach((position) => row(position));
  else {
    const brackets = side.brackets.filter(
      ({ first, last }) => (Math.min(to, last + 1) - Math.max(from, first)) * cell >= pitch,
    );
    const block = ({ path, first, last }: Bracket) => {
      const at = ((Math.max(from, first) + Math.min(to, last + 1)) / 2 - from) * cell;
      if (place.take(at)) labels.push({ at, name: path, block: { path, folded: false }, strong: false });
    };
    brackets.filter(({ depth }) => depth === 0).forEach(block);
    for (const position of rows) if (side.entries[position]?.folded !== undefined) row(position);
    brackets.filter(({ depth }) => depth > 0).forEach(block);
    const covered = new Set<number>();
    for (const { first, last } of side.brackets) for (let i = first; i <= last; i++) covered.add(i);
    // rows in blocks are labelled if at least every second row has room; else the label of the block says more
    for (const position of rows) if (!covered.has(position) || 2 * cell >= pitch) row(position);
  }
  return labels.sort((a, b) => a.at - b.at);
}

/** The visible rows: first the multiples of `step`, so that panning keeps the same rows labelled; then the others. */
function visibleRows(side: Side, from: number, to: number, step: number): number[] {
  const [first, last] = [Math.max(0, Math.ceil(from - 0.5)), Math.min(side.entries.length - 1, Math.floor(to - 0.5))];
  const all = Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => first + k);
  return [...all.filter((i) => i % step === 0), ...all.filter((i) => i % step)];
}

/** The places along an axis that labels have taken, any two at least `pitch` pixels apart. */
class Places {
  #taken: number[] = [];

  constructor(
    readonly length: number,
    readonly pitch: number,
  ) {}

  take(at: number): boolean {
    if (at < 0 || at > this.length) return false;
    if (this.#taken.some((other) => Math.abs(other - at) < this.pitch)) return false;
    this.#taken.push(at);
    return true;
  }
}

/** Split a dotted name into its path (with the dot) and its last part; labels shorten the path first. */
export function nameParts(name: string): [string, string] {
  const dot = name.lastIndexOf(".");
  return dot > 0 && dot < name.length - 1 ? [name.slice(0, dot + 1), name.slice(dot + 1)] : ["", name];
}
