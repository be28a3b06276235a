import { expect, it } from "vitest";
import { gramPixels, limitOf, spansOf, spanTexts, ticksOf } from "./grams";

it("scales by nearly all entries off the diagonal, not by the diagonal or an outlier", () => {
  const size = 40;
  const gram = new Float32Array(size * size).fill(0.5);
  for (let k = 0; k < size; k++) gram[k * size + k] = 100;
  gram[1] = gram[size] = -90;
  expect(limitOf(gram, size)).toBe(0.5);
  for (let k = 0; k < 40; k++) gram[2 * size + k] = 3; // more than two in a hundred
  expect(limitOf(gram, size)).toBe(3);
});

it("has a limit where there is little to scale by", () => {
  expect(limitOf(Float32Array.from([4]), 1)).toBe(4);
  expect(limitOf(Float32Array.from([2, 0, 0, 3]), 2)).toBe(3);
  expect(limitOf(new Float32Array(4), 2)).toBe(1);
  expect(limitOf(Float32Array.from([1, NaN, 2, NaN, 1, 2, 2, 2, 1]), 3)).toBe(2);
});

it("colours blue below 0, red above, and leaves out what is no number", () => {
  const pixels = gramPixels(Float32Array.from([-9, 0, 9, NaN]), 1);
  const pixel = (k: number) => [...pixels.subarray(4 * k, 4 * k + 4)];
  const [blue, white, red, none] = [pixel(0), pixel(1), pixel(2), pixel(3)];
  expect(blue[2]).toBeGreaterThan(blue[0]! + 50);
  expect(red[0]).toBeGreaterThan(red[2]! + 50);
  expect(Math.min(...white)).toBeGreaterThan(230);
  expect(none).toEqual([0, 0, 0, 0]);
  expect([...gramPixels(Float32Array.from([3]), 6)]).toEqual([...gramPixels(Float32Array.from([0.5]), 1)]);
});

it("finds where labels change", () => {
  const spans = spansOf([0, 0, 3, 3, 3, 7]);
  expect(spans).toEqual([
    { label: 0, from: 0, to: 2 },
    { label: 3, from: 2, to: 5 },
    { label: 7, from: 5, to: 6 },
  ]);
  expect(ticksOf(spans, 3)).toEqual([2, 5]);
  expect(ticksOf(spansOf([1, 2, 3, 4]), 2)).toEqual([]); // at every sample: they would say nothing
  expect(ticksOf([], 2)).toEqual([]);
});

it("writes the labels that find room, if most do", () => {
  const spans = spansOf([10, 10, 10, 20, 20, 20, 30]);
  const texts = spanTexts(spans, 6, (text) => 6 * text.length);
  expect(texts).toEqual([
    { text: "10", middle: 1.5 },
    { text: "20", middle: 4.5 },
  ]);
  expect(spanTexts(spansOf([10, 10, 10, 20, 30, 40]), 6, (text) => 6 * text.length)).toEqual([]);
});
