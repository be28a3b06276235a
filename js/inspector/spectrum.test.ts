import { expect, it } from "vitest";
import { sharesOf } from "./spectrum";

it("ends the axis around the shares, and not where rounding ends", () => {
  expect(sharesOf([0.12, 0.03, 0.004, 1e-9], 20).ends).toEqual([0.002, 0.2]);
  expect(sharesOf([1], 20).ends).toEqual([0.5, 1]);
  expect(sharesOf([0.1], 20).ends).toEqual([0.05, 0.1]);
  expect(sharesOf([1e-4], 20).ends).toEqual([1e-4, 2e-4]);
  expect(sharesOf([1.0001], 20).ends).toEqual([0.5, 1]);
  expect(sharesOf([], 20).ends).toEqual([0.01, 1]);
});

it("has ticks at both ends and at the powers of ten that find room", () => {
  expect(sharesOf([0.12, 0.004], 5.5).ticks).toEqual([0.002, 0.01, 0.05, 0.2]);
  for (const most of [2, 4, 5.5, 9]) {
    const { ends, ticks } = sharesOf([0.7, 0.0002], most);
    expect([ticks[0], ticks.at(-1)]).toEqual(ends);
    const room = Math.log10(ends[1] / ends[0]) / most;
    ticks.slice(1).forEach((tick, k) => expect(Math.log10(tick / ticks[k]!)).toBeGreaterThanOrEqual(room - 1e-9));
  }
});
