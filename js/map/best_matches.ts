/** Profiles of rows and columns, and the most similar layer of each. */

import type { Scene } from "./scene";

/** The shown numbers of one row or column, NaN where there is none, and the position of its best match. */
export function profileOf(scene: Scene, position: number, side: "row" | "column"): { values: number[]; best: number } {
  const { x, y, shown, cells } = scene;
  const [along, across] = side === "row" ? [y, x] : [x, y];
  const fixed = across.entries[position]?.index ?? -1;
  const wide = y.layers.length;
  const at = (index: number) => (side === "row" ? fixed * wide + index : index * wide + fixed);
  const values = along.entries.map(({ index }) => shown[at(index)] ?? NaN);
  // every layer is most similar to itself, which within one model says nothing
  const itself = x.model === y.model ? fixed : -1;
  const comparable = along.entries.map(({ index }) => (index === itself ? NaN : (cells?.values[at(index)] ?? NaN)));
  return { values, best: bestMatch(comparable, cells?.about.kind === "distance") };
}

/** For each row the position of the most similar column; -1 where there is no number. */
export function bestMatches(scene: Scene): number[] {
  return scene.x.entries.map((_, row) => profileOf(scene, row, "row").best);
}

/** The position of the largest number, or for distances of the smallest; -1 if there is none. */
export function bestMatch(values: readonly number[], distance = false): number {
  let best = -1;
  values.forEach((value, k) => {
    if (Number.isNaN(value)) return;
    const before = values[best];
    if (before === undefined || (distance ? value < before : value > before)) best = k;
  });
  return best;
}
