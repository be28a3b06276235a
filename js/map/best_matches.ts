/** Profiles of rows and columns, and the most similar layer of each. */

import type { Scene } from "./scene";

/** The shown numbers of one row or column (NaN where a number is missing) and the position of its best match. */
export function profileOf(scene: Scene, position: number, side: "row" | "column"): { values: number[]; best: number } {
  const { x, y, shown, cells } = scene;
  const [along, across] = side === "row" ? [y, x] : [x, y];
  const fixed = across.entries[position]?.index ?? -1;
  const wide = y.layers.length;
  const at = (index: number) => (side === "row" ? fixed * wide + index : index * wide + fixed);
  const values = along.entries.map(({ index }) => shown[at(index)] ?? NaN);
  // if both sides are one model, the layer itself is left out: every layer is most similar to itself
  const itself = x.model === y.model ? fixed : -1;
  const comparable = along.entries.map(({ index }) => (index === itself ? NaN : (cells?.values[at(index)] ?? NaN)));
  return { values, best: bestMatch(comparable, cells?.about.kind === "distance") };
}

/** For each row the position of the most similar column; -1 for a row without numbers. */
export function bestMatches(scene: Scene): number[] {
  return scene.x.entries.map((_, row) => profileOf(scene, row, "row").best);
}

/** The position of the largest number, or of the smallest number for distances; -1 if all are NaN. */
export function bestMatch(values: readonly number[], distance = false): number {
  let best = -1;
  values.forEach((value, k) => {
    if (Number.isNaN(value)) return;
    const before = values[best];
    if (before === undefined || (distance ? value < before : value > before)) best = k;
  });
  return best;
}
