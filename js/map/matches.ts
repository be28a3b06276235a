/** Rows and columns of a map as curves, and the most alike layer of each. */

import type { Scene } from "./scene";

/** The numbers of one row or column over the other side, NaN where there is none, and where the best match is. */
export function profileOf(scene: Scene, position: number, side: "row" | "column"): { values: number[]; best: number } {
  const { x, y, shown, cells } = scene;
  const [along, across] = side === "row" ? [y, x] : [x, y];
  const fixed = across.entries[position]?.index ?? -1;
  const wide = y.layers.length;
  const at = (index: number) => (side === "row" ? fixed * wide + index : index * wide + fixed);
  const values = along.entries.map(({ index }) => shown[at(index)] ?? NaN);
  // every layer is most like itself: within one model that says nothing
  const itself = x.model === y.model ? fixed : -1;
  const comparable = along.entries.map(({ index }) => (index === itself ? NaN : (cells?.values[at(index)] ?? NaN)));
  return { values, best: bestMatch(comparable, cells?.about.kind === "distance") };
}

/** For each row the position of the column that is most alike; -1 where no number is. */
export function bestMatches(scene: Scene): number[] {
  return scene.x.entries.map((_, row) => profileOf(scene, row, "row").best);
}

/** Where the largest number is, or the smallest of distances; -1 if there is none. */
export function bestMatch(values: readonly number[], distance = false): number {
  let best = -1;
  values.forEach((value, k) => {
    if (Number.isNaN(value)) return;
    const before = values[best];
    if (before === undefined || (distance ? value < before : value > before)) best = k;
  });
  return best;
}
