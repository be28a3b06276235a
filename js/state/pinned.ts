/**
 * The pinned pairs of layers, whose curves are compared. Two layers can be pinned only once, whichever of them is the
 * row; Python refuses a list that has a pair twice. The number of a pair is its place in the list, from 1, and is the
 * same in every view.
 */

import type { Selection } from "./model";
import { sameLayers } from "./pairs";
import type { Store } from "./store";

export const MAX_PINNED = 4;
export const NO_MORE_PINS = "Four pairs are pinned; unpin one to pin another";

/** The number of a pinned pair, from 1; 0 for a pair that is not pinned. */
export function pinNumber(pinned: Selection[], pair: Selection): number {
  return 1 + pinned.findIndex((one) => sameLayers(one, pair));
}

/** Whether a pair is not pinned and cannot be, as the list is full. */
export function cannotPin(pinned: Selection[], pair: Selection): boolean {
  return pinned.length >= MAX_PINNED && pinNumber(pinned, pair) === 0;
}

/** The list of pinned pairs after `pair` is unpinned if it was pinned, or else pinned if there is room. */
export function togglePinned(pinned: Selection[], pair: Selection): Selection[] {
  if (pinNumber(pinned, pair)) return pinned.filter((one) => !sameLayers(one, pair));
  return cannotPin(pinned, pair) ? pinned : [...pinned, pair];
}

/** Pin or unpin a pair in every view of the widget, or show why it cannot be pinned. */
export function pinOrUnpin(store: Pick<Store, "get" | "set" | "showError">, pair: Selection): void {
  const pinned = store.get("pinned");
  if (cannotPin(pinned, pair)) store.showError(NO_MORE_PINS);
  else store.set("pinned", togglePinned(pinned, pair));
}
