import { expect, it } from "vitest";
import type { Selection } from "./model";
import { sameLayers } from "./pairs";
import { cannotPin, MAX_PINNED, NO_MORE_PINS, pinNumber, pinOrUnpin, togglePinned } from "./pinned";

const pair = (x: string, y: string): Selection => ({ model_x: "a", layer_x: x, model_y: "b", layer_y: y });
const mirrored = (x: string, y: string): Selection => ({ model_x: "b", layer_x: y, model_y: "a", layer_y: x });

it("takes a pair seen from the other side for the same", () => {
  expect(sameLayers(pair("one", "two"), mirrored("one", "two"))).toBe(true);
  expect(sameLayers(pair("one", "two"), pair("two", "one"))).toBe(false);
  expect(togglePinned([pair("one", "two")], mirrored("one", "two"))).toEqual([]);
});

it("pins and unpins, and numbers pairs by their places", () => {
  const one = togglePinned([], pair("1", "1"));
  const two = togglePinned(one, pair("2", "2"));
  expect([pinNumber(two, pair("1", "1")), pinNumber(two, pair("2", "2")), pinNumber(two, pair("3", "3"))]).toEqual([
    1, 2, 0,
  ]);
  expect(togglePinned(two, pair("1", "1"))).toEqual([pair("2", "2")]);
  expect(one).toEqual([pair("1", "1")]); // what is shared is never changed in place
});

it("pins no more pairs than there are colours", () => {
  let pinned: Selection[] = [];
  for (let k = 0; k < 6; k++) pinned = togglePinned(pinned, pair(`${k}`, `${k}`));
  expect(pinned.length).toBe(MAX_PINNED);
  expect(togglePinned(pinned, pair("3", "3")).length).toBe(MAX_PINNED - 1);
});

it("pins and unpins in a store, and shows there why it pins no more", () => {
  let [pinned, error]: [Selection[], string | undefined] = [[], undefined];
  const store = {
    get: () => pinned,
    set: (_: string, value: Selection[]) => (pinned = value),
    showError: (text?: string) => (error = text),
  };
  for (let k = 0; k < MAX_PINNED; k++) pinOrUnpin(store as never, pair(`${k}`, `${k}`));
  expect([pinned.length, error]).toEqual([MAX_PINNED, undefined]);
  expect([cannotPin(pinned, pair("4", "4")), cannotPin(pinned, mirrored("0", "0"))]).toEqual([true, false]);
  pinOrUnpin(store as never, pair("4", "4"));
  expect([pinned.length, error]).toEqual([MAX_PINNED, NO_MORE_PINS]);
});
