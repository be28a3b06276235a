/** When two pairs of layers are the same, and a key for a pair. */

import type { Selection } from "./model";

/** Whether two pairs are the same, with the same layer as the row. */
export function equalPairs(a: Selection, b: Selection): boolean {
  return a.model_x === b.model_x && a.layer_x === b.layer_x && a.model_y === b.model_y && a.layer_y === b.layer_y;
}

/** Whether two pairs are of the same two layers, whichever of them is the row. */
export function sameLayers(a: Selection, b: Selection): boolean {
  const x = (one: Selection) => JSON.stringify([one.model_x, one.layer_x]);
  const y = (one: Selection) => JSON.stringify([one.model_y, one.layer_y]);
  return (x(a) === x(b) && y(a) === y(b)) || (x(a) === y(b) && y(a) === x(b));
}

/** A key for a `Map`; a pair and its mirror image have different keys. */
export function pairKey(pair: Selection): string {
  return JSON.stringify([pair.model_x, pair.layer_x, pair.model_y, pair.layer_y]);
}
