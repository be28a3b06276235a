import { expect, it } from "vitest";
import type { Selection } from "./model";
import { sameLayers } from "./pairs";
import { MAX_PINNED, pinNumber, togglePinned } from "./pinned";

const pair = (x: string, y: string): Selection => ({ model_x: "a", layer_x: x, model_y: "b", layer_y: y });

it("takes a pair seen from the other side for the same", () => {
  const mirrored = { model_x: "b", layer_x: "two", model_y: "a", layer_y: "one" };
  expect(sameLayers(pair("one", "two"), mirrored)).toBe(true);
  expect(sameLayers(pair("one", "two"), pair("two", "one"))).toBe(false);
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
