import { expect, it } from "vitest";
import { bestMatch, bestMatches, profileOf } from "./best_matches";
import type { Scene } from "./scene";
import { Sides } from "./side";

const axis = (model: string) => ({ model, layers: ["p", "q", "r"], kinds: ["", "", ""] });
const values = Float32Array.from([1, 0.9, 0.2, 0.9, 1, NaN, 0.2, NaN, 1]);

function sceneOf(modelX: string, modelY: string, filter = "", kind = "similarity"): Scene {
  const sides = new Sides();
  const cells = { values, stderr: values, about: { kind } };
  const [x, y] = [sides.side(axis(modelX), [], ""), sides.side(axis(modelY), [], filter)];
  return { x, y, cells, shown: values } as unknown as Scene;
}

it("finds the most similar layer, which within one model is never the layer itself", () => {
  expect(bestMatches(sceneOf("a", "b"))).toEqual([0, 1, 2]);
  expect(bestMatches(sceneOf("a", "a"))).toEqual([1, 0, 0]);
  expect(bestMatches(sceneOf("a", "b", "q r"))).toEqual([0, 0, 1]);
  expect(bestMatches(sceneOf("a", "b", "", "distance"))).toEqual([2, 0, 0]);
});

it("gives rows and columns of what is shown", () => {
  expect(profileOf(sceneOf("a", "b"), 1, "row").values).toEqual([...values.slice(3, 6)]);
  expect(profileOf(sceneOf("a", "b", "p r"), 0, "column").values).toEqual([values[0], values[3], values[6]]);
  expect(profileOf(sceneOf("a", "b", "p r"), 1, "row").values).toEqual([values[3], NaN]);
});

it("has no best match where there are no numbers", () => {
  expect(bestMatch([NaN, NaN])).toBe(-1);
  expect(bestMatch([NaN, -0.3, -0.1])).toBe(2);
  expect(bestMatch([0.3, 0.1], true)).toBe(1);
});
