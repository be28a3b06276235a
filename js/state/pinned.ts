/** Which pairs are pinned. Their numbers, from 1, are their places among the pinned ones, in every view alike. */

import type { Selection } from "./model";
import { alike } from "./pairs";

export const MOST_PINNED = 4;
export const FULL = "Four pairs are pinned; unpin one to pin another";

/** The number a pinned pair has, from 1; 0 for a pair that is not pinned. */
export function numberOf(pinned: Selection[], pair: Selection): number {
  return 1 + pinned.findIndex((one) => alike(one, pair));
}

/** The pinned pairs without this one if it is among them, else with it if there is room. */
export function toggled(pinned: Selection[], pair: Selection): Selection[] {
  if (numberOf(pinned, pair)) return pinned.filter((one) => !alike(one, pair));
  return pinned.length < MOST_PINNED ? [...pinned, pair] : pinned;
}
