import { expect, it } from "vitest";
import { bestOf, mostAlike, profileOf } from "./matches";
import type { Picture } from "./scene";
import { Sides } from "./side";

const axis = (model: string) => ({ model, layers: ["p", "q", "r"], kinds: ["", "", ""] });
const values = Float32Array.from([1, 0.9, 0.2, 0.9, 1, NaN, 0.2, NaN, 1]);

function picture(modelX: string, modelY: string, filter = "", kind = "similarity"): Picture {
  const sides = new Sides();
  const cells = { values, stderr: values, about: { kind } };
  const [x, y] = [sides.side(axis(modelX), [], ""), sides.side(axis(modelY), [], filter)];
  return { x, y, cells, shown: values } as unknown as Picture;
}

it("finds the most alike layer, which within one model is never the layer itself", () => {
  expect(bestOf(picture("a", "b"))).toEqual([0, 1, 2]);
  expect(bestOf(picture("a", "a"))).toEqual([1, 0, 0]);
  expect(bestOf(picture("a", "b", "q r"))).toEqual([0, 0, 1]);
  expect(bestOf(picture("a", "b", "", "distance"))).toEqual([2, 0, 0]);
});

it("gives rows and columns of what is shown", () => {
  expect(profileOf(picture("a", "b"), 1, "row").values).toEqual([...values.slice(3, 6)]);
  expect(profileOf(picture("a", "b", "p r"), 0, "column").values).toEqual([values[0], values[3], values[6]]);
  expect(profileOf(picture("a", "b", "p r"), 1, "row").values).toEqual([values[3], NaN]);
});

it("has no best match where there are no numbers", () => {
  expect(mostAlike([NaN, NaN])).toBe(-1);
  expect(mostAlike([NaN, -0.3, -0.1])).toBe(2);
  expect(mostAlike([0.3, 0.1], true)).toBe(1);
});
