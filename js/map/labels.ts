/** Which of an axis' rows and blocks are labelled, so that no two labels touch. */

import type { Side } from "./side";
import { blockAt } from "./side";
import type { Bracket } from "./tree";

export interface Label {
  /** the middle of the label along the axis, in pixels from the first visible edge */
  at: number;
  /** the layer's or block's name */
  name: string;
  /** what a click does to which block */
  block?: { path: string; folded: boolean };
  /** the row, unless the label is a block's */
  position?: number;
  strong: boolean;
}

/**
 * Labels for the rows from `from` to `to` of a side that is `length` pixels long. Rows in `strong` (pointed at, held)
 * come first; then every row if they fit. If not, the outer blocks, folded ones, inner blocks, and rows that lie in none.
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
    // where every other row can be named, rows in blocks are; closer ones would say less than their block does
    for (const position of rows) if (!covered.has(position) || 2 * cell >= pitch) row(position);
  }
  return labels.sort((a, b) => a.at - b.at);
}

/** The rows that are seen: every k-th from the same one on, whatever part is seen, so that labels stay; then the rest. */
function visibleRows(side: Side, from: number, to: number, step: number): number[] {
  const [first, last] = [Math.max(0, Math.ceil(from - 0.5)), Math.min(side.entries.length - 1, Math.floor(to - 0.5))];
  const all = Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => first + k);
  return [...all.filter((i) => i % step === 0), ...all.filter((i) => i % step)];
}

/** Places along an axis, of which any two are some pixels apart. */
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

/** A name in two parts: where it stands, which may be cut first, and what it is. */
export function nameParts(name: string): [string, string] {
  const dot = name.lastIndexOf(".");
  return dot > 0 && dot < name.length - 1 ? [name.slice(0, dot + 1), name.slice(dot + 1)] : ["", name];
}
