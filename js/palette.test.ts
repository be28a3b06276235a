import { expect, it } from "vitest";
import { colour, pixels } from "./palette";

it("runs from magma's first colour to its last", () => {
  expect(colour(0)).toEqual([0, 0, 4]);
  expect(colour(1)).toEqual([252, 253, 191]);
});

it("saturates beyond the limits and rises in between", () => {
  expect(colour(-0.7)).toEqual(colour(0));
  expect(colour(1.2)).toEqual(colour(1));
  const lightness = [0, 0.25, 0.5, 0.75, 1].map((v) => (colour(v) ?? []).reduce<number>((a, b) => a + b, 0));
  expect(lightness).toEqual([...lightness].sort((a, b) => a - b));
});

it("leaves cells without a number transparent", () => {
  expect(colour(NaN)).toBeUndefined();
  expect([...pixels(Float32Array.from([NaN, 1]))]).toEqual([0, 0, 0, 0, 252, 253, 191, 255]);
});
