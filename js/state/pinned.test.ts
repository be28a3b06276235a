import { expect, it } from "vitest";
import type { Selection } from "./model";
import { alike } from "./pairs";
import { MOST_PINNED, numberOf, toggled } from "./pinned";

const pair = (x: string, y: string): Selection => ({ model_x: "a", layer_x: x, model_y: "b", layer_y: y });

it("takes a pair seen from the other side for the same", () => {
  const mirrored = { model_x: "b", layer_x: "two", model_y: "a", layer_y: "one" };
  expect(alike(pair("one", "two"), mirrored)).toBe(true);
  expect(alike(pair("one", "two"), pair("two", "one"))).toBe(false);
});

it("pins and unpins, and numbers pairs by their places", () => {
  const one = toggled([], pair("1", "1"));
  const two = toggled(one, pair("2", "2"));
  expect([numberOf(two, pair("1", "1")), numberOf(two, pair("2", "2")), numberOf(two, pair("3", "3"))]).toEqual([
    1, 2, 0,
  ]);
  expect(toggled(two, pair("1", "1"))).toEqual([pair("2", "2")]);
  expect(one).toEqual([pair("1", "1")]); // what is shared is never changed in place
});

it("pins no more pairs than there are colours", () => {
  let pinned: Selection[] = [];
  for (let k = 0; k < 6; k++) pinned = toggled(pinned, pair(`${k}`, `${k}`));
  expect(pinned.length).toBe(MOST_PINNED);
  expect(toggled(pinned, pair("3", "3")).length).toBe(MOST_PINNED - 1);
});
