/** Pairs of layers: when two are the same, and a key for each. */

import type { Selection } from "./model";

/** Whether two pairs are the same, rows and columns included. */
export function equalPairs(a: Selection, b: Selection): boolean {
  return a.model_x === b.model_x && a.layer_x === b.layer_x && a.model_y === b.model_y && a.layer_y === b.layer_y;
}

/** Whether two pairs are of the same layers, seen from either side. */
export function sameLayers(a: Selection, b: Selection): boolean {
  const x = (one: Selection) => JSON.stringify([one.model_x, one.layer_x]);
  const y = (one: Selection) => JSON.stringify([one.model_y, one.layer_y]);
  return (x(a) === x(b) && y(a) === y(b)) || (x(a) === y(b) && y(a) === x(b));
}

export function pairKey(pair: Selection): string {
  return JSON.stringify([pair.model_x, pair.layer_x, pair.model_y, pair.layer_y]);
}
