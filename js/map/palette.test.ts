import { expect, it } from "vitest";
import { withEntry } from "../state/records";
import { colouringOf, histogram, rangeOf, stepsOf } from "./palette";

const cka = { name: "cka", kind: "similarity" as const };
const difference = { name: "cka-dcka", kind: "difference" as const };
const scale = { mode: "unit" as const, limits: {}, palette: "magma" as const };
const unit = scale;
const at = (c: ReturnType<typeof colouringOf>, value: number) => c.colours[c.step(value)];

it("runs from magma's first colour to its last over 0 to 1, whatever the data", () => {
  const usual = colouringOf(cka, unit);
  expect(at(usual, 0)).toEqual([0, 0, 4]);
  expect(at(usual, 1)).toEqual([252, 253, 191]);
  expect(at(usual, -0.7)).toEqual(at(usual, 0));
  expect(at(usual, 1.2)).toEqual(at(usual, 1));
  expect(usual.note).toBe("");
});

it("has 256 different colours, so a value can be read back to 1/255", () => {
  const usual = colouringOf(cka, unit);
  expect(new Set(usual.colours.map(String)).size).toBe(256);
  for (const value of [0, 0.1234, 0.5, 0.87, 1]) expect(usual.step(value) / 255).toBeCloseTo(value, 2);
});

it("is light where differences are zero, and as dark at both ends", () => {
  const both = colouringOf(difference, unit);
  const lightness = (value: number) => at(both, value)!.reduce((a, b) => a + b, 0);
  expect(lightness(0)).toBeGreaterThan(700);
  expect(lightness(1)).toBeLessThan(250);
  expect(lightness(-1)).toBeLessThan(250);
  expect(at(both, 1)![0]).toBeGreaterThan(at(both, 1)![2]);
  expect(rangeOf(Float32Array.from([-0.5, NaN, 0.25]), difference)).toEqual([-0.5, 0.5]);
});

it("has no frozen range for a measure that only has an object's name", () => {
  for (const name of ["__proto__", "constructor", "toString"]) {
    const measure = { name, kind: "similarity" as const };
    expect(colouringOf(measure, { ...scale, mode: "range" }).limits).toEqual([0, 1]);
    const limits = withEntry<[number, number]>({}, name, [0.2, 0.4]);
    expect(colouringOf(measure, { ...scale, mode: "range", limits }).limits).toEqual([0.2, 0.4]);
  }
});

it("freezes a range, and says so", () => {
  const values = Float32Array.from([0.4, 0.6, NaN, 0.5]);
  const limits = rangeOf(values, cka)!;
  const frozen = colouringOf(cka, { ...scale, mode: "range", limits: { cka: limits } });
  expect(frozen.step(0.4)).toBe(0);
  expect(frozen.step(values[1]!)).toBe(255);
  expect(frozen.note).toBe("colours from 0.40 to 0.60");
  expect(colouringOf(cka, { ...scale, mode: "range" }).step(1)).toBe(255);
  expect(rangeOf(Float32Array.from([NaN, NaN]), cka)).toBeUndefined();
});

it("spreads the crowded top by log(1 - s)", () => {
  const log = colouringOf(cka, { ...scale, mode: "log" });
  const step = (value: number) => log.step(value) / 255;
  expect(step(0)).toBe(0);
  expect(step(0.9)).toBeCloseTo(1 / 3, 2);
  expect(step(0.99)).toBeCloseTo(2 / 3, 2);
  for (const value of [0.999, 1, 1.3]) expect(step(value)).toBe(1);
  expect(step(-0.4)).toBe(0);
  expect(log.note).toBe("colours by log(1 − s)");
  expect(colouringOf(difference, { ...scale, mode: "log" }).note).toBe("");
});

it("counts cells with a number, however far off", () => {
  const usual = colouringOf(cka, unit);
  expect([...stepsOf(Float32Array.from([NaN, 1]), usual)]).toEqual([-1, 255]);
  expect(histogram(stepsOf(Float32Array.from([NaN, 0, 0.1, 0.9, 1]), usual), 4)).toEqual([2, 0, 0, 2]);
});

it("has other palettes, each with 256 colours, for all but differences", () => {
  for (const palette of ["viridis", "cividis"] as const) {
    const other = colouringOf(cka, { ...unit, palette });
    expect(new Set(other.colours.map(String)).size).toBeGreaterThan(200);
    expect(at(other, 0)).not.toEqual(at(colouringOf(cka, unit), 0));
    expect(colouringOf(difference, { ...unit, palette }).colours).toBe(colouringOf(difference, unit).colours);
  }
});

it("shows errors from 0 to five times the threshold, also those of a difference", () => {
  const errors = colouringOf({ ...difference, threshold: 0.02 }, { ...unit, mode: "log" });
  expect(errors.limits).toEqual([0, 0.1]);
  expect([errors.step(0), errors.step(0.05), errors.step(0.2), errors.step(NaN)]).toEqual([0, 128, 255, -1]);
  expect(errors.ticks.map(({ text }) => text)).toEqual(["0", "0.1"]);
  expect(rangeOf(Float32Array.from([0.01, 0.04]), { ...difference, threshold: 0.02 })?.[1]).toBeCloseTo(0.04);
  expect(colouringOf({ ...cka, threshold: 0 }, unit).limits[1]).toBeGreaterThan(0);
});
