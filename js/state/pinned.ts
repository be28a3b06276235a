/** Which pairs are pinned. Their numbers, from 1, are their places among the pinned ones, in every view alike. */

import type { Selection } from "./model";
import { sameLayers } from "./pairs";

export const MAX_PINNED = 4;
export const NO_MORE_PINS = "Four pairs are pinned; unpin one to pin another";

/** The number a pinned pair has, from 1; 0 for a pair that is not pinned. */
export function pinNumber(pinned: Selection[], pair: Selection): number {
  return 1 + pinned.findIndex((one) => sameLayers(one, pair));
}

/** The pinned pairs without this one if it is among them, else with it if there is room. */
export function togglePinned(pinned: Selection[], pair: Selection): Selection[] {
  if (pinNumber(pinned, pair)) return pinned.filter((one) => !sameLayers(one, pair));
  return pinned.length < MAX_PINNED ? [...pinned, pair] : pinned;
}
