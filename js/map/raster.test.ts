import { expect, it } from "vitest";
import type { Cells } from "../state/snapshot";
import { colouringOf, stepsOf } from "./palette";
import { cellPixels, hatchPixels } from "./raster";
import { Sides } from "./side";

const x = new Sides().side({ model: "a", layers: ["p", "q.r", "q.s"], kinds: ["", "", ""] }, [], "");
const y = new Sides().side({ model: "b", layers: ["u", "v"], kinds: ["", ""] }, [], "");
const values = Float32Array.from([0, 1, NaN, NaN, 1, 0]);
const stderr = Float32Array.from([0.01, 0.03, 0.5, NaN, NaN, 0.02]);

it("paints the rows and columns that stand there; cells without a number stay transparent", () => {
  const colours = colouringOf({ name: "cka", kind: "similarity" }, { mode: "unit", limits: {}, palette: "magma" });
  const words = cellPixels(x, y, stepsOf(values, colours), colours);
  const bytes = [...new Uint8Array(words.buffer)];
  expect(bytes).toEqual([0, 0, 4, 255, 252, 253, 191, 255, 252, 253, 191, 255, 0, 0, 4, 255]);
  const all = new Sides().side({ model: "a", layers: [...x.layers], kinds: ["", "", ""] }, ["q"], "");
  expect(cellPixels(all, y, stepsOf(values, colours), colours)[2]).toBe(0);
});

it("marks cells whose error is over the threshold or not known yet, never those without a number", () => {
  const all = new Sides().side({ model: "a", layers: [...x.layers], kinds: ["", "", ""] }, ["q"], "");
  const [words, count] = hatchPixels(all, y, { values, stderr } as Cells, Math.fround(0.02));
  expect([...words].map((word) => +(word > 0))).toEqual([0, 1, 0, 0, 1, 0]);
  expect(count).toBe(2);
});
